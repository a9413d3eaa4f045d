//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which CI systems read.
//!
//! In: findings with the path of each element. Out: one JSON value with one run. Columns count characters, as SARIF's
//! `columnKind` says. Not here: writing it.

use camino::Utf8Path;
use serde_json::{Value, json};

use super::finding::Finding;
use super::rules;
use crate::diagnostic::Severity;

/// Where the form of the file is described.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The log of one run. Each finding comes with the path of its element's folder, as it is to be shown.
pub fn log<'a>(findings: impl Iterator<Item = (&'a Utf8Path, &'a Finding)>) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "kiln lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules::ALL.iter().map(|rule| json!({
                    "id": rule.name,
                    "shortDescription": { "text": rule.summary() },
                    "fullDescription": { "text": rule.docs },
                    "defaultConfiguration": { "level": rule.severity.to_string() },
                })).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.map(|(folder, finding)| result(folder, finding)).collect::<Vec<_>>(),
        }],
    })
}

fn result(folder: &Utf8Path, finding: &Finding) -> Value {
    let index = rules::ALL.iter().position(|rule| *rule == finding.rule);
    let level = match finding.rule.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = finding.diagnostic.message.clone();
    for help in &finding.diagnostic.help {
        text.push('\n');
        text.push_str(help);
    }
    let path = finding.file.as_ref().map_or_else(|| folder.to_owned(), |file| folder.join(file));
    let mut place = json!({ "artifactLocation": { "uri": uri(&path) } });
    if let Some(((line, column), (end_line, end_column))) = finding.region() {
        place["region"] =
            json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column });
    }
    json!({
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    })
}

/// A path as a URI reference (RFC 3986): what is not unreserved or a slash is escaped.
fn uri(path: &Utf8Path) -> String {
    let mut text = String::new();
    for byte in path.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    if path.is_absolute() { format!("file://{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri(Utf8Path::new("elements/a b/x.rhai")), "elements/a%20b/x.rhai");
        assert_eq!(uri(Utf8Path::new("/e/ä")), "file:///e/%C3%A4");
    }
}
