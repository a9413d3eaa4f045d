//! What a rule is.

use super::report::Report;
use super::subject::Subject;
use crate::diagnostic::Severity;

/// A thing that lint looks for.
pub struct Rule {
    /// Its name: `unknown-function`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What diskimage-builder's `dib-lint` calls it in its comments; empty when it cannot be switched off there or is unknown.
    pub dib_name: &'static str,
    /// What it looks for, why that is wrong and what to do: a line, then paragraphs.
    pub docs: &'static str,
    /// Looks.
    pub check: fn(&Subject, &mut Report<'_>),
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Rule {
    /// The first line of its documentation.
    pub fn summary(&self) -> &'static str {
        self.docs.lines().next().unwrap_or_default()
    }
}
