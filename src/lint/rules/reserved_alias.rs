//! Rule `reserved-alias`: imports under the name of a file of the library.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};
use crate::script::reference::reference;

/// The rule.
pub static RULE: Rule = Rule {
    name: "reserved-alias",
    severity: Severity::Error,
    dib_name: "",
    docs: "An import of something else has the name of a file of the library.

Rhai looks imports up by name when a function runs, also those that the library's own functions use: `import \"./mine\" as packages` would \
make `std/…` call the wrong file. Choose another name after `as`.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    // A test imports the element under the name it likes, and often that of what it tests.
    for (script, source) in subject.readable().filter(|(script, _)| script.role != Role::Test) {
        for import in &source.imports {
            let real = import.path.strip_prefix("std/");
            if real != Some(&import.alias) && reference().module(&import.alias).is_some() {
                let message = format!("`{}` is imported under the name of `std/{}`", import.path, import.alias);
                report.script(script, import.span.clone(), message, "choose another name after `as`");
            }
        }
    }
}
