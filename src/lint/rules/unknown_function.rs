//! Rule `unknown-function`: calls of functions that there are not.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};
use crate::script::nearest::{close, suggestion};
use crate::script::reference::reference;

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-function",
    severity: Severity::Error,
    dib_name: "",
    docs: "A script calls a function that there is not.

Rhai looks a function up when it is called, so the mistake would come to light in the middle of a build. The file's own functions, the \
verbs, the language and the files that are imported count; the tests' own verbs (`assert`, `fake_package` …) only in `tests/`.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable() {
        let in_test = script.role == Role::Test;
        for call in &script.calls.calls {
            // Looking for near names takes its time.
            if report.is_full() {
                return;
            }
            let (known, names): (bool, Vec<&str>) = if call.namespace.is_empty() {
                let key = call.method && subject.scripts.iter().any(|script| script.calls.keys.contains(&call.name));
                let own = script.functions.contains_key(&call.name);
                let known = key || own || reference().counts(&call.name, in_test).is_some();
                let own = script.functions.keys().map(String::as_str);
                (known, if known { Vec::new() } else { own.chain(reference().verbs(in_test)).collect() })
            } else {
                let Some(import) = source.imports.iter().find(|import| import.alias == call.namespace) else {
                    continue;
                };
                let functions = match import.path.strip_prefix("std/") {
                    Some(name) => reference().module(name).map(|module| &module.source),
                    None => subject.imported(&import.path).and_then(|script| script.source.as_ref().ok()),
                };
                // An import that leads nowhere is another rule's.
                let Some(functions) = functions else { continue };
                let names: Vec<&str> = functions.functions.iter().map(|function| function.name.as_str()).collect();
                (names.contains(&call.name.as_str()), names)
            };
            if known {
                continue;
            }
            let whole = if call.namespace.is_empty() {
                call.name.clone()
            } else {
                format!("{}::{}", call.namespace, call.name)
            };
            let mut near = close(&call.name, names);
            if near.is_empty() && call.namespace.is_empty() {
                near = close(&call.name, reference().names(in_test));
            }
            let message = format!("there is no function `{whole}`{}", suggestion(&near));
            let found = report.script(script, call.span.clone(), message, "unknown function");
            if !in_test && near.is_empty() && reference().counts(&call.name, true).is_some() {
                found.help("only files in `tests/` have this verb");
            }
        }
    }
}
