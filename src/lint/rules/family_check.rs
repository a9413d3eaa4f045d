//! Rule `family-check`: scripts that ask which distribution they are on.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};

/// Facts that say what distribution an image is.
const FACTS: [&str; 2] = ["distro", "family"];

/// The rule.
pub static RULE: Rule = Rule {
    name: "family-check",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A script does something else for another distribution or family.

An element is written once for all of them. What differs stands in data: names of packages in `pkg-map`, of services in `svc-map`, the rest in \
the library (`std/packages`, `std/services`, `std/users` …), whose functions do the same on each. Where the library has no such function, it \
should: say so with `// kiln-lint: allow family-check` above the line.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for (script, source) in subject.readable().filter(|(script, _)| script.role != Role::Test) {
        for compared in script.calls.comparisons.iter().filter(|compared| FACTS.contains(&compared.function.as_str())) {
            if source.function(&compared.function).is_some() {
                continue;
            }
            let message =
                format!("the script decides by `{}`, so each distribution is another case", compared.function);
            let found = report.script(script, compared.span.clone(), message, "");
            found.help(
                "names of packages belong into `pkg-map`, of services into `svc-map`; the library covers the rest",
            );
        }
    }
}
