//! Rule `manifest-literal`: a manifest that is not made of literals.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "manifest-literal",
    severity: Severity::Error,
    dib_name: "",
    docs: "`const ELEMENT` is read without running the file, so it is made of literals only.

Calls, variables and arithmetic have no value there. Write the value itself; what depends on the image belongs into a phase function.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
