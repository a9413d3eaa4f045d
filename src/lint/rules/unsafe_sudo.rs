//! Rule `unsafe-sudo`: root commands on the host's side that do not name the image.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::plan::{Phase, Place};

/// Words that say that the command is about the image.
const ABOUT_THE_IMAGE: [&str; 5] =
    ["TARGET_ROOT", "IMAGE_BLOCK_DEVICE", "TMP_MOUNT_PATH", "TMP_IMAGE_PATH", "install-packages"];

/// Phases that the rule does not look at although they run on the host's side, as under diskimage-builder.
const LEFT_OUT: [Phase; 2] = [Phase::PostRoot, Phase::PreFinalise];

/// The rule.
pub static RULE: Rule = Rule {
    name: "unsafe-sudo",
    severity: Severity::Warning,
    dib_name: "safe_sudo",
    docs: "A hook that runs on the host's side calls `sudo` without naming the image.

Such a command may change the machine that builds. Name TARGET_ROOT, TMP_MOUNT_PATH, TMP_IMAGE_PATH or IMAGE_BLOCK_DEVICE in it, or say \
`# dib-lint: safe_sudo` in the line when it is meant.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let on_host =
        |phase: Phase| (Place::of(phase) == Place::Host && !LEFT_OUT.contains(&phase)) || phase == Phase::Finalise;
    for file in subject.files.iter().filter(|file| file.phase().is_some_and(on_host)) {
        let lines: Vec<_> = file.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(at) = line.text.find("sudo ") else { continue };
            let comment = line.text.trim_start().starts_with('#');
            // The command may go on in the lines after it.
            let goes_on = lines.iter().skip(index).take_while(|line| line.text.ends_with('\\')).count();
            let mut command = lines.iter().skip(index).take(goes_on + 1);
            if comment || command.any(|line| ABOUT_THE_IMAGE.iter().any(|word| line.text.contains(word))) {
                continue;
            }
            let start = line.start + at;
            let message = "`sudo` on the host's side, in a line that does not name the image";
            report.at(file, start..start + "sudo".len(), message, "may change the machine that builds");
        }
    }
}
