//! Rule `unknown-dependency`: dependencies that no element is or provides.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::script::nearest::{close, suggestion};

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-dependency",
    severity: Severity::Warning,
    dib_name: "",
    docs: "The element depends on something that no element on the path is or provides.

A build with it is refused, unless another entry of ELEMENTS_PATH has the element then.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let names = &subject.surroundings.names;
    let Ok(element) = &subject.element else { return };
    for name in element.depends.iter().filter(|name| !names.is_empty() && !names.contains(*name)) {
        let near = close(name, names.iter().map(String::as_str));
        let message =
            format!("`{}` depends on `{name}`, which no element is or provides{}", subject.name, suggestion(&near));
        let quoted = format!("\"{name}\"");
        let place = ["element.rhai", "element-deps"].into_iter().find_map(|file| {
            let file = subject.file(file)?;
            let word = if file.name() == "element.rhai" { quoted.as_str() } else { name.as_str() };
            file.source().find(word).map(|at| (file, at..at + word.len()))
        });
        match place {
            Some((file, span)) => report.at(file, span, message, "unknown"),
            None => report.element(message),
        };
    }
}
