//! Rule `unknown-permission`: permissions that there are not.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-permission",
    severity: Severity::Error,
    dib_name: "",
    docs: "`permissions` names something that is no permission.

There are packages, write:/PATH, services, users, run, network, fetch:HOST, read-host:/PATH, kernel-args, disk and secrets:ID.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
