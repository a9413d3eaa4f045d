//! Rule `shadows-host`: functions that take the place of verbs or of functions of the language.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};
use crate::script::reference::reference;

/// The rule.
pub static RULE: Rule = Rule {
    name: "shadows-host",
    severity: Severity::Error,
    dib_name: "",
    docs: "A function has the name and the number of parameters of a verb or of a function of the language.

Rhai looks at script functions first, whatever the receiver: the function would be called in place of the other one, also by the library's \
files. Give it another name.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable() {
        for function in &source.functions {
            let in_test = script.role == Role::Test;
            let Some(counts) = reference().counts(&function.name, in_test) else { continue };
            let number = function.parameters.len();
            let typed = script.calls.typed.iter().any(|(_, name, _)| *name == function.name);
            // Methods of a type are another rule's.
            if typed || counts.is_some_and(|counts| !counts.contains(&number)) {
                continue;
            }
            let signatures = reference().signatures(&function.name);
            let message = format!("`{}` takes the place of a function that kiln brings", function.name);
            let found = report.script(script, function.span.clone(), message, "give it another name");
            if let Some(signature) = signatures.first() {
                found.help(format!("there is `{signature}`"));
            }
        }
    }
}
