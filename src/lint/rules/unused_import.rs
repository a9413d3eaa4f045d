//! Rule `unused-import`: imports that nothing is taken from.

use crate::diagnostic::Severity;
use crate::lint::finding::Fix;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "unused-import",
    severity: Severity::Warning,
    dib_name: "",
    docs: "An import is not used.

`--fix` takes the line away.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable() {
        for import in source.imports.iter().filter(|import| !script.calls.namespaces.contains(&import.alias)) {
            let text = source.text.as_str();
            let start = text.get(..import.span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
            let rest = text.get(import.span.end..).unwrap_or_default();
            let end = import.span.end + rest.find('\n').map_or(rest.len(), |at| at + 1);
            let line = text.get(start..end).unwrap_or_default().trim();
            // Only a line that is nothing but the import can go.
            let alone = line.starts_with("import") && line.ends_with(';') && line.matches(';').count() == 1;
            let message = format!("`{}` is imported and not used", import.path);
            let found = report.script(script, import.span.clone(), message, "not used");
            if alone {
                found.fix(Fix::Replace(start..end, String::new()));
            }
        }
    }
}
