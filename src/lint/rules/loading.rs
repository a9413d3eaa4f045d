//! Rule `loading`: what stops a build that names the element.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "loading",
    severity: Severity::Error,
    dib_name: "",
    docs: "The element cannot be loaded for a reason that no other rule is about; every build that names it stops here.

The message is the one that the build would print.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
