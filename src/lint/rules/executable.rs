//! Rule `executable`: scripts that cannot be executed.

use crate::diagnostic::Severity;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "executable",
    severity: Severity::Warning,
    dib_name: "executable",
    docs: "A file names its interpreter in the first line and is not executable.

`--fix` makes it executable. Files in the folders of phases are `hook-not-run`, those in environment.d are `environment-executable`.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in &subject.files {
        let others = file.phase().is_some() || file.is_in("environment.d");
        if file.interpreter().is_some() && !file.is_executable() && !others {
            let found = report.file(file, "names its interpreter and is not executable");
            found.help(format!("chmod +x {}", file.path)).fix(Fix::Executable(true));
        }
    }
}
