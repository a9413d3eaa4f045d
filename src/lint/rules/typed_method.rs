//! Rule `typed-method`: methods that override those of kiln's types.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "typed-method",
    severity: Severity::Error,
    dib_name: "",
    docs: "`fn TYPE.name(…)` declares a method of a type.

Such a method is found before kiln's own, also by the library's files, so `fn Image.remove(path)` would take the place of the verb. \
Write a function that takes the value as its first parameter.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, _) in subject.readable() {
        for (kind, name, span) in &script.calls.typed {
            let message = format!("`{name}` is declared as a method of `{kind}`");
            report.script(script, span.clone(), message, "").help(format!("write `fn {name}(value, …)`"));
        }
    }
}
