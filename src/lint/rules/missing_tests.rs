//! Rule `missing-tests`: Rhai hooks without a test.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};

/// The rule.
pub static RULE: Rule = Rule {
    name: "missing-tests",
    severity: Severity::Warning,
    dib_name: "",
    docs: "The element has hooks in Rhai and no test.

A test is a function `test_…(image)` in a file of `tests/`; it takes milliseconds, needs no root, and `kiln test` runs it.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let tested = subject.readable().any(|(script, source)| {
        script.role == Role::Test && source.functions.iter().any(|function| function.name.starts_with("test_"))
    });
    if subject.has_rhai_hooks() && !tested {
        let found = report.element(format!("the element `{}` has hooks in Rhai and no test", subject.name));
        found.help("write `fn test_…(image)` in tests/NAME.rhai");
    }
}
