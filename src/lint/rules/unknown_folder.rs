//! Rule `unknown-folder`: folders named almost like a phase's.

use std::collections::BTreeSet;

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::plan::Phase;
use crate::script::nearest::{close, suggestion};

/// Folders `….d` that mean something and are no phase's.
const OTHERS: [&str; 1] = ["environment.d"];

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-folder",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A folder is named almost like that of a phase, so its files never run.

The folders are root.d, extra-data.d, pre-install.d, install.d, post-install.d, post-root.d, block-device.d, pre-finalise.d, finalise.d, \
cleanup.d and environment.d.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let folders: BTreeSet<&str> = subject
        .files
        .iter()
        .filter_map(|file| {
            let (first, rest) = (file.path.components().next()?, file.path.components().count());
            (rest > 1 && first.as_str().ends_with(".d")).then(|| first.as_str())
        })
        .collect();
    let known: Vec<String> = Phase::ALL.iter().map(|phase| phase.directory()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).chain(OTHERS).collect();
    for folder in folders.into_iter().filter(|folder| !known.contains(folder)) {
        let near = close(folder, known.iter().copied());
        if !near.is_empty() {
            let message = format!("no phase has the folder `{}/{folder}`{}", subject.name, suggestion(&near));
            report.element(message).help("nothing runs what is in it");
        }
    }
}
