//! Rule `set-e`: shell scripts that go on after a failure.

use crate::diagnostic::Severity;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "set-e",
    severity: Severity::Warning,
    dib_name: "sete",
    docs: "A shell script does not say `set -e`.

It goes on after a command that failed, and the image is made without what that command was for. `--fix` adds the line after the first one.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_shell()) {
        let Some(first) = file.interpreter() else { continue };
        let by_interpreter = first.text.split_whitespace().skip(1).any(|word| super::short_option(word, 'e'));
        if by_interpreter || file.lines().any(|line| super::shell_options(line.text).contains('e')) {
            continue;
        }
        let end = (first.span().end + 1).min(file.source().len());
        let text = if file.source().ends_with('\n') || end < file.source().len() { "set -e\n" } else { "\nset -e\n" };
        let found = report.file(file, "lacks `set -e`: it goes on after a command that failed");
        found.fix(Fix::Replace(end..end, text.to_owned()));
    }
}
