//! Rule `environment-executable`: files of `environment.d` that are executable.

use crate::diagnostic::Severity;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "environment-executable",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A file of environment.d is executable.

Such files are sourced, not executed. `--fix` takes the execute bits.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_in("environment.d") && file.is_executable()) {
        report.file(file, "is executable, but is sourced").fix(Fix::Executable(false));
    }
}
