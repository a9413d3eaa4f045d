//! Rule `set-u`: bash scripts that do not stop at unset variables.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "set-u",
    severity: Severity::Warning,
    dib_name: "setu",
    docs: "A bash script does not say `set -u`.

A misspelt variable is then an empty text, which in `rm -rf \"$ROT/etc\"` is the worst one.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_bash()) {
        if !file.lines().any(|line| super::shell_options(line.text).contains('u')) {
            report.file(file, "lacks `set -u`: a misspelt variable would be an empty text");
        }
    }
}
