//! Rule `unknown-import`: imports that lead nowhere.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::script::imports::LIBRARY;
use crate::script::nearest::{close, suggestion};

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-import",
    severity: Severity::Error,
    dib_name: "",
    docs: "An import leads nowhere.

`import \"std/NAME\"` reaches the library, `import \"./PATH\"` a file PATH.rhai of the element's own folder (also from a file of a \
folder below it: paths begin at the element's folder); nothing else can be imported.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable() {
        for import in &source.imports {
            let message = if let Some(name) = import.path.strip_prefix("std/") {
                if LIBRARY.iter().any(|(known, _)| *known == name) {
                    continue;
                }
                let near = close(name, LIBRARY.iter().map(|(known, _)| *known));
                format!("the library has no `{}`{}", import.path, suggestion(&near))
            } else if import.path.starts_with("./") {
                // A symlink to a file of the folder is fine; the loader follows it.
                if subject.imported(&import.path).is_some()
                    || subject.directory.join(format!("{}.rhai", import.path)).is_file()
                {
                    continue;
                }
                format!("the element has no file {}.rhai", import.path.trim_start_matches("./"))
            } else {
                format!("`{}` cannot be imported: write `std/…` or `./…`", import.path)
            };
            report.script(script, import.span.clone(), message, "leads nowhere");
        }
    }
}
