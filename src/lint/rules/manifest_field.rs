//! Rule `manifest-field`: fields of the manifest.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "manifest-field",
    severity: Severity::Error,
    dib_name: "",
    docs: "A field of `const ELEMENT` is unknown, missing, or holds what it cannot.

Unknown fields are refused because a misspelt one would silently do nothing. docs/elements.md lists the fields and their types.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
