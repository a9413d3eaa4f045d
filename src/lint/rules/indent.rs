//! Rule `indent`: shell scripts that are not indented by four spaces.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "indent",
    severity: Severity::Warning,
    dib_name: "indent",
    docs: "A shell script has a line that is not indented by a multiple of four spaces.

Only the first such line of a file is told; the bodies of here-documents are as they are.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    // python has its own tools, and its files name it in the first line
    for file in subject.files.iter().filter(|file| file.is_shell()) {
        let odd = |text: &str| {
            let spaces = text.len() - text.trim_start_matches(' ').len();
            !spaces.is_multiple_of(4) && spaces < text.len()
        };
        if let Some(line) = file.code_lines().find(|line| odd(line.text)) {
            let width = line.text.len() - line.text.trim_start_matches(' ').len();
            report.at(file, line.start..line.start + width, "the indent is no multiple of four spaces", "");
        }
    }
}
