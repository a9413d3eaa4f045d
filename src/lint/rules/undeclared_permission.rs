//! Rule `undeclared-permission`: calls of verbs that the element was not granted.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::uses::uses;
use crate::script::permission::{self, Permission};

/// The rule.
pub static RULE: Rule = Rule {
    name: "undeclared-permission",
    severity: Severity::Error,
    dib_name: "",
    docs: "A script calls a verb whose permission the manifest does not declare.

The call would be refused when it runs. Add the permission to `permissions` in `const ELEMENT`; calls of the library count with the verbs \
that they call. Paths, hosts and names of secrets are compared as far as they are known without running anything.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let Ok(element) = &subject.element else { return };
    let grants: Vec<Permission> = element.permissions.iter().filter_map(|text| permission::parse(text).ok()).collect();
    for used in uses(subject) {
        if grants.iter().any(|grant| used.may_be_covered_by(grant)) {
            continue;
        }
        let permission = used.exact().map_or_else(|| used.need.describe().to_owned(), |exact| exact.to_string());
        let through =
            if used.verb == used.call.name { String::new() } else { format!(", which calls `{}`,", used.verb) };
        let message = format!("`{}`{through} needs the permission `{permission}`", used.call.name);
        let found = report.script(used.script, used.call.span.clone(), message, "not declared");
        found.help(format!(
            "declare it in `ELEMENT` of {}/element.rhai: `permissions: [\"{permission}\"]`",
            subject.name
        ));
    }
}
