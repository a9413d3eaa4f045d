//! Rule `final-newline`: texts whose last line does not end.

use crate::diagnostic::Severity;
use crate::lint::file::File;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "final-newline",
    severity: Severity::Warning,
    dib_name: "newline",
    docs: "The last line of a text does not end with a line feed.

Tools that read line by line skip such a line: the last repository of a `source-repository-` file would be lost under diskimage-builder. \
`--fix` adds it.",
    check,
};

/// Texts that people write; what lies in `static/` and the like may be as it is.
fn is_looked_at(file: &File) -> bool {
    let name = file.name();
    let data = ["element-deps", "element-provides", "pkg-map", "svc-map"].contains(&name);
    let extension = file.path.extension().unwrap_or_default();
    data || file.is_executable()
        || file.interpreter().is_some()
        || name.starts_with("source-repository-")
        || ["rhai", "rst", "md", "yaml"].contains(&extension)
}

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| is_looked_at(file)) {
        let end = file.source().len();
        if end > 0 && !file.source().ends_with('\n') {
            let found = report.file(file, "does not end with a line feed");
            found.fix(Fix::Replace(end..end, "\n".to_owned()));
        }
    }
}
