//! Rule `wrong-arity`: calls with a number of arguments that no function of the name takes.

use std::collections::BTreeSet;

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};
use crate::script::reference::reference;
use crate::script::syntax::Source;

/// The rule.
pub static RULE: Rule = Rule {
    name: "wrong-arity",
    severity: Severity::Error,
    dib_name: "",
    docs: "A function is called with more or fewer arguments than any function of its name takes.

The receiver counts: `image.remove(path)` and `remove(image, path)` both have two. The signatures are listed with the finding and in \
docs/reference.md.",
    check,
};

fn counts(source: &Source, name: &str) -> BTreeSet<usize> {
    let own = source.functions.iter().filter(|function| function.name == name);
    own.map(|function| function.parameters.len()).collect()
}

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable() {
        for call in &script.calls.calls {
            if report.is_full() {
                return;
            }
            let key = call.method && subject.scripts.iter().any(|script| script.calls.keys.contains(&call.name));
            let mut accepted = BTreeSet::new();
            let mut signatures = Vec::new();
            if call.namespace.is_empty() {
                accepted.extend(script.functions.get(&call.name).into_iter().flatten());
                match reference().counts(&call.name, script.role == Role::Test) {
                    // The interpreter takes any number.
                    Some(None) => continue,
                    Some(Some(known)) => accepted.extend(known),
                    None => {}
                }
                if !accepted.is_empty() && !accepted.contains(&call.count()) {
                    signatures.extend(reference().signatures(&call.name));
                }
            } else {
                let Some(import) = source.imports.iter().find(|import| import.alias == call.namespace) else {
                    continue;
                };
                let functions = match import.path.strip_prefix("std/") {
                    Some(name) => reference().module(name).map(|module| &module.source),
                    None => subject.imported(&import.path).and_then(|script| script.source.as_ref().ok()),
                };
                let Some(functions) = functions else { continue };
                accepted.extend(counts(functions, &call.name));
                let named = functions.functions.iter().filter(|function| function.name == call.name);
                signatures
                    .extend(named.map(|function| format!("{}({})", function.name, function.parameters.join(", "))));
            }
            // A name that there is not is another rule's.
            if key || accepted.is_empty() || accepted.contains(&call.count()) {
                continue;
            }
            let numbers: Vec<String> = accepted.iter().map(ToString::to_string).collect();
            let with = if call.method { " with its receiver" } else { "" };
            let message =
                format!("`{}` takes {} arguments, not {}{with}", call.name, numbers.join(" or "), call.count());
            let found = report.script(script, call.span.clone(), message, "");
            for signature in signatures.into_iter().take(4) {
                found.help(format!("there is `{signature}`"));
            }
        }
    }
}
