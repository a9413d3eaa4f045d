//! Rule `phase-arity`: phase functions that cannot be called.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "phase-arity",
    severity: Severity::Error,
    dib_name: "",
    docs: "A phase function takes exactly one parameter, the image; a hook file defines the function of its phase.

Write `fn install(image) { … }`. Options come from `image.option(\"name\")`.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
