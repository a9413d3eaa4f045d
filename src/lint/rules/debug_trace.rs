//! Rule `debug-trace`: bash scripts that cannot be traced.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "debug-trace",
    severity: Severity::Warning,
    dib_name: "dibdebugtrace",
    docs: "A bash script does not look at DIB_DEBUG_TRACE.

Hooks trace themselves when the user asks for it (`-x` of disk-image-create): if [ ${DIB_DEBUG_TRACE:-0} -gt 0 ]; then set -x; fi",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_bash()) {
        if !file.lines().any(|line| line.text.contains("DIB_DEBUG_TRACE")) {
            report.file(file, "does not look at DIB_DEBUG_TRACE, by which a user asks for a trace");
        }
    }
}
