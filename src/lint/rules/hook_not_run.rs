//! Rule `hook-not-run`: files in a phase's folder that nothing runs.

use crate::diagnostic::Severity;
use crate::element::hooks::is_hook_name;
use crate::lint::file::File;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "hook-not-run",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A file in the folder of a phase is never run.

A hook is executable and its name holds letters, digits, `-` and `_` only (a file of Rhai ends in `.rhai` and needs no execute bit). Anything \
else in such a folder is skipped without a word, as under diskimage-builder. What a script of the element names is data that it uses, \
and no finding. `--fix` makes a file executable that names its interpreter.",
    check,
};

/// A script of the element names the file: it lies beside the hook that copies it.
fn is_used(subject: &Subject, file: &File) -> bool {
    let scripts = subject.files.iter().filter(|other| other.path != file.path);
    let mut scripts = scripts.filter(|other| other.interpreter().is_some() || other.path.extension() == Some("rhai"));
    scripts.any(|script| script.source().contains(file.name()))
}

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.phase().is_some()) {
        let name = file.name();
        if name.starts_with('.') {
            continue;
        }
        if let Some(key) = name.strip_suffix(".rhai") {
            if !is_hook_name(key) {
                report.file(file, "never runs: its name may hold letters, digits, `-` and `_` only, and `.rhai`");
            }
        } else if !is_hook_name(name) {
            if is_used(subject, file) {
                continue;
            }
            let found = report.file(file, "never runs: the name of a hook holds letters, digits, `-` and `_` only");
            found.help("rename it, or move it out of the phase's folder");
        } else if !file.is_executable() {
            let script = file.interpreter().is_some();
            let found = report.file(file, "never runs: it is not executable");
            found.help(format!("chmod +x {}", file.path));
            if script {
                found.fix(Fix::Executable(true));
            }
        }
    }
}
