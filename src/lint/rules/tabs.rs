//! Rule `tabs`: tabs at the beginning of lines.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "tabs",
    severity: Severity::Warning,
    dib_name: "tabindent",
    docs: "A script or a README.rst is indented with tabs.

Only the first such line of a file is told; the bodies of here-documents are as they are.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let looked_at = subject.files.iter().filter(|file| file.is_executable() || file.path.extension() == Some("rst"));
    for file in looked_at {
        let indented = |text: &str| text.trim_start_matches(' ').starts_with('\t');
        if let Some(line) = file.code_lines().find(|line| indented(line.text)) {
            report.at(file, line.start..line.start + 1, "the line is indented with a tab", "");
        }
    }
}
