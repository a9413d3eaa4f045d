//! Rule `unused-permission`: permissions that no script uses.

use crate::diagnostic::Severity;
use crate::element::HookKind;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::{Role, Subject};
use crate::lint::uses::{Use, uses};
use crate::script::needs::{Need, Plain};
use crate::script::permission::{self, Permission};
use crate::script::syntax::{Literal, LiteralValue, Source};

/// The rule.
pub static RULE: Rule = Rule {
    name: "unused-permission",
    severity: Severity::Warning,
    dib_name: "",
    docs: "The manifest declares a permission that no script uses.

Who reviews an element reads its permissions first; each one too many hides those that matter. A permission counts as used when a verb that \
needs it may be called with a value that it covers.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    let Ok(element) = &subject.element else { return };
    // A script that cannot be read may use anything.
    if subject.scripts.iter().any(|script| script.source.is_err()) {
        return;
    }
    let Some((script, source)) = subject.readable().find(|(script, _)| script.role == Role::Element) else { return };
    let uses = uses(subject);
    // What is no Rhai hook asks for the network by this permission, too.
    let other_hooks = element.hooks.iter().any(|hook| !matches!(hook.kind, HookKind::Script { .. }));
    for (text, literal) in grants(source) {
        let Ok(grant) = permission::parse(text) else { continue };
        let used = match &grant {
            Permission::Network => other_hooks || uses.iter().any(reaches_network),
            grant => uses.iter().any(|used| used.may_be_covered_by(grant)),
        };
        if !used {
            let message = format!("the permission `{text}` is declared and not used");
            report.script(script, literal.span.clone(), message, "no call needs it");
        }
    }
}

const fn reaches_network(used: &Use<'_>) -> bool {
    matches!(used.need, Need::Plain(Plain::Run | Plain::Packages))
}

/// The permissions of the manifest, each with its place.
fn grants(source: &Source) -> Vec<(&str, &Literal)> {
    let Ok(Some(Literal { value: LiteralValue::Map(fields), .. })) = source.constant("ELEMENT") else {
        return Vec::new();
    };
    let field = fields.iter().find(|(key, _)| key.name == "permissions");
    let Some((_, Literal { value: LiteralValue::Array(items), .. })) = field else { return Vec::new() };
    let mut grants = Vec::new();
    for literal in items {
        if let LiteralValue::String(text) = &literal.value {
            grants.push((text.as_str(), literal));
        }
    }
    grants
}
