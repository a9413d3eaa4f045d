//! Rule `set-pipefail`: bash scripts whose pipes may fail unseen.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "set-pipefail",
    severity: Severity::Warning,
    dib_name: "setpipefail",
    docs: "A bash script does not say `set -o pipefail`.

Without it a pipe fails only when its last command does.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_bash()) {
        if !file.lines().any(|line| line.text.starts_with("set -") && line.text.contains("o pipefail")) {
            report.file(file, "lacks `set -o pipefail`: a pipe fails only when its last command does");
        }
    }
}
