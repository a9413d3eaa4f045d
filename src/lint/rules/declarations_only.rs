//! Rule `declarations-only`: statements at the top level of a Rhai file.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "declarations-only",
    severity: Severity::Error,
    dib_name: "",
    docs: "The top level of a Rhai file may only declare: `import`, `const` and `fn`.

A file does nothing when it is loaded; kiln calls the function named after the phase. Move the statement into a function.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
