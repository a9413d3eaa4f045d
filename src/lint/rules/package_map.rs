//! Rule `package-map`: a `pkg-map` that cannot be read.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "package-map",
    severity: Severity::Error,
    dib_name: "",
    docs: "pkg-map is no JSON, or not in the form that names of packages have there.

Its keys are `release`, `distro`, `family` and `default`; docs/elements.md shows the form.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
