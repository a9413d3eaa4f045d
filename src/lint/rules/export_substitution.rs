//! Rule `export-substitution`: exports that hide a failure.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "export-substitution",
    severity: Severity::Warning,
    dib_name: "",
    docs: "`export NAME=$(command)` hides that the command failed.

The status is that of `export`, which succeeds, so `set -e` does not stop. Write two lines: `NAME=$(command)`, then `export NAME`.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_shell() || file.is_in("environment.d")) {
        for line in file.lines().filter(|line| !line.text.trim_start().starts_with('#')) {
            let Some(at) = line.text.find("export ") else { continue };
            let rest = line.text.get(at..).unwrap_or_default();
            // Arithmetic cannot fail that way.
            let substituted =
                rest.match_indices("$(").any(|(at, _)| !rest.get(at + 2..).unwrap_or_default().starts_with('('));
            if substituted {
                let start = line.start + at;
                let message = "the failure of a command in an `export` goes unseen";
                report.at(file, start..start + "export".len(), message, "write the assignment and the export apart");
            }
        }
    }
}
