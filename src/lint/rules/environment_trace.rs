//! Rule `environment-trace`: files of `environment.d` that switch tracing on.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "environment-trace",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A file of environment.d says `set -x`.

It is sourced before every hook, so it would trace all of them, secrets included.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_in("environment.d")) {
        for line in file.lines() {
            if let Some(at) = line.text.find("set -x") {
                let start = line.start + at;
                report.at(file, start..start + 6, "a file of environment.d switches tracing on for every hook", "");
            }
        }
    }
}
