//! Checks elements against all rules.

use super::finding::Finding;
use super::report::Report;
use super::rule::Rule;
use super::subject::Subject;
use super::{rules, suppression};
use crate::diagnostic::Diagnostic;
use crate::element::{Element, ElementError};

/// Everything that is found in `subject`, in the order of files and lines.
pub fn check(subject: &Subject) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rules::ALL.iter().flat_map(|rule| found(rule, subject)).collect();
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.file.clone(), finding.region(), finding.rule.severity);
        key(a).cmp(&key(b)).then_with(|| a.diagnostic.message.cmp(&b.diagnostic.message))
    });
    findings
}

fn found(rule: &'static Rule, subject: &Subject) -> Vec<Finding> {
    let mut report = Report::new(rule, subject);
    (rule.check)(subject, &mut report);
    report.findings.retain(|finding| !suppression::is_suppressed(subject, finding));
    report.findings
}

/// Whatever means that a script of `element` cannot work; a build with it is refused.
///
/// # Errors
/// A file of it cannot be read.
pub fn before_a_build(element: &Element) -> Result<Vec<Diagnostic>, ElementError> {
    let subject = Subject::of_build(element)?;
    if subject.scripts.is_empty() {
        return Ok(Vec::new());
    }
    let found = rules::BEFORE_A_BUILD.iter().flat_map(|rule| found(rule, &subject));
    Ok(found.map(|finding| finding.diagnostic).collect())
}
