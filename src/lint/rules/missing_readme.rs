//! Rule `missing-readme`: elements that do not say what they are for.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "missing-readme",
    severity: Severity::Warning,
    dib_name: "",
    docs: "The element has no README.md or README.rst.

Say what it is for, what its options and variables mean and what it needs.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    if ["README.md", "README.rst"].iter().all(|name| subject.file(name).is_none()) {
        report.element(format!("the element `{}` has no README.md or README.rst", subject.name));
    }
}
