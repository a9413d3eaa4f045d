//! Rule `which`: a program that small images lack.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "which",
    severity: Severity::Warning,
    dib_name: "which",
    docs: "A shell script calls `which`.

It is a program of its own that small images lack. `command -v` is part of the shell.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_shell()) {
        for line in file.lines().filter(|line| !line.text.trim_start().starts_with('#')) {
            let called = line.text.match_indices("which ").find(|(at, _)| {
                let before = line.text.get(..*at).unwrap_or_default().chars().next_back();
                // A word of a message is no call; `$(which`, `;which`, `!which` and the start of a line are.
                let text = line.text.get(..*at).unwrap_or_default();
                let quoted = text.matches('"').count() % 2 == 1 && !text.contains("$(");
                let quoted = quoted || text.contains(" #");
                before.is_none_or(|letter| !letter.is_alphanumeric() && !"-_./".contains(letter)) && !quoted
            });
            if let Some((at, word)) = called {
                let start = line.start + at;
                report.at(
                    file,
                    start..start + word.len() - 1,
                    "`which` is missing in small images",
                    "write `command -v`",
                );
            }
        }
    }
}
