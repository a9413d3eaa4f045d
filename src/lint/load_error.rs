//! Which rule an error of loading an element belongs to.
//!
//! In: what a build would say. Out: findings of one rule: each error has exactly one. Not here: the errors.

use super::report::Report;
use super::subject::Subject;
use crate::element::ElementError;

/// The rule that reports `error`.
pub fn rule_of(error: &ElementError) -> &'static str {
    match error {
        ElementError::Source(diagnostic) => rule_of_code(&diagnostic.code),
        ElementError::File { path, .. } if path.file_name() == Some("pkg-map") => "package-map",
        ElementError::File { path, .. } if path.extension() == Some("yaml") => "yaml",
        _ => "loading",
    }
}

/// The rule that reports a diagnostic of this code.
pub fn rule_of_code(code: &str) -> &'static str {
    match code {
        "declarations-only" => "declarations-only",
        "manifest.literal" => "manifest-literal",
        "permission.unknown" => "unknown-permission",
        "unknown-phase" | "manifest.order" | "manifest.built-in" => "unknown-phase",
        "phase-arity" | "hook.function" => "phase-arity",
        code if code.starts_with("manifest.") => "manifest-field",
        code if code == "syntax" || code.starts_with("script.") => "syntax",
        _ => "loading",
    }
}

/// Reports what loading says and what reading each script says, as far as it belongs to `rule`.
pub fn report(rule: &str, subject: &Subject, report: &mut Report<'_>) {
    for script in &subject.scripts {
        if let Err(diagnostic) = &script.source
            && rule_of_code(&diagnostic.code) == rule
        {
            report.diagnostic(diagnostic);
        }
    }
    let Err(error) = &subject.element else { return };
    if rule_of(error) != rule {
        return;
    }
    match error.diagnostic() {
        // Then reading that script said it already.
        Some(diagnostic) if report.findings.iter().any(|found| found.diagnostic.message == diagnostic.message) => {}
        Some(diagnostic) => {
            report.diagnostic(diagnostic);
        }
        None => {
            report.element(format!("element `{}`: {error}", subject.name));
        }
    }
}
