//! Rule `syntax`: a Rhai file that does not parse.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "syntax",
    severity: Severity::Error,
    dib_name: "",
    docs: "A Rhai file does not parse.

The place is where reading stopped; the mistake may stand before it, such as a bracket that was not closed.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
