//! Rule `deps-sorted`: dependencies in no order.

use crate::diagnostic::Severity;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "deps-sorted",
    severity: Severity::Warning,
    dib_name: "",
    docs: "The names in element-deps are not in alphabetical order.

Their order means nothing; sorted, two people who add one do not collide. `--fix` sorts them when the file holds nothing else.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let Some(file) = subject.file("element-deps") else { return };
    let names: Vec<_> = file.lines().filter(|line| !line.text.is_empty() && !line.text.starts_with('#')).collect();
    let Some(pair) = names.windows(2).find(|pair| pair[0].text > pair[1].text) else { return };
    let message = format!("`{}` stands before `{}`", pair[0].text, pair[1].text);
    let found = report.at(file, pair[1].span(), message, "not in alphabetical order");
    if file.lines().count() == names.len() {
        let mut sorted: Vec<&str> = names.iter().map(|line| line.text).collect();
        sorted.sort_unstable();
        found.fix(Fix::Replace(0..file.source().len(), sorted.join("\n") + "\n"));
    }
}
