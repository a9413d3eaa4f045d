//! Rule `yaml`: YAML that cannot be read, or says what it cannot.

use crate::diagnostic::Severity;
use crate::disk;
use crate::lint::file::File;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "yaml",
    severity: Severity::Error,
    dib_name: "",
    docs: "A YAML file cannot be read, a list of packages has a mistake, or a description of a disk cannot be laid out.

Descriptions of disks (block-device-*.yaml) are read as a build reads them.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
    let known: Vec<_> = report.findings.iter().map(|found| found.diagnostic.message.clone()).collect();
    // svc-map is YAML, too.
    let is_yaml = |file: &&File| file.path.extension() == Some("yaml") || file.path == "svc-map";
    for file in subject.files.iter().filter(is_yaml) {
        let Some(text) = &file.text else { continue };
        // Loading told it already.
        if known.iter().any(|message| message.contains(file.path.as_str())) {
            continue;
        }
        let name = format!("{}/{}", subject.name, file.path);
        if file.name().starts_with("block-device-") && file.path.components().count() == 1 {
            if let Err(error) = disk::config::parse(text, &name) {
                report.diagnostic(&error.diagnostic);
            }
            continue;
        }
        let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
        if !text.trim().is_empty()
            && let Err(error) = serde_saphyr::from_str_with_options::<serde_json::Value>(text, options)
        {
            let text = error.to_string();
            report.file(file, format!("is no YAML: {}", text.lines().next().unwrap_or_default()));
        }
    }
}
