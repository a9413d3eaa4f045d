//! Carries out what mends findings.
//!
//! In: an element's folder and findings with a fix. Out: changed files. Ranges of one file are changed from its end on, so that none
//! moves another; one that overlaps another waits for the next run. Not here: what is certain enough to be a fix (the rules).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use super::finding::{Finding, Fix};

/// Mends what can be mended and returns the number of findings that were.
///
/// # Errors
/// A file cannot be changed.
pub fn apply(directory: &Utf8Path, findings: &[Finding]) -> io::Result<usize> {
    let mut count = 0;
    let mut texts: BTreeMap<&Utf8Path, Vec<(&Range<usize>, &str)>> = BTreeMap::new();
    for finding in findings {
        let (Some(file), Some(fix)) = (&finding.file, &finding.fix) else { continue };
        match fix {
            Fix::Executable(wanted) => {
                let path = directory.join(file);
                let mode = fs::metadata(&path)?.permissions().mode();
                // Whoever may read it may run it.
                let mode = if *wanted { mode | (mode & 0o444) >> 2 } else { mode & !0o111 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
                count += 1;
            }
            Fix::Replace(range, text) => texts.entry(file.as_path()).or_default().push((range, text)),
        }
    }
    for (file, mut changes) in texts {
        let path = directory.join(file);
        let mut text = fs::read_to_string(&path)?;
        changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut end = text.len();
        for (range, replacement) in changes.into_iter().rev() {
            if range.end <= end && text.get(range.clone()).is_some() {
                text.replace_range(range.clone(), replacement);
                // Two insertions at one place stay in order.
                end = range.start;
                count += 1;
            }
        }
        fs::write(&path, text)?;
    }
    Ok(count)
}
