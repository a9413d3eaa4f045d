//! What lint found at one place.

use std::ops::Range;

use camino::Utf8PathBuf;

use super::rule::Rule;
use crate::diagnostic::Diagnostic;

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What is wrong and where; its code is the rule's name.
    pub diagnostic: Diagnostic,
    /// The file, from the element's folder; `None` when it is about the element as a whole.
    pub file: Option<Utf8PathBuf>,
    /// What would mend it, when that is certain.
    pub fix: Option<Fix>,
}

/// A change that mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Gives the file its execute bits, or takes them.
    Executable(bool),
    /// Puts another text in place of a byte range of the file.
    Replace(Range<usize>, String),
}

impl Finding {
    /// Adds what the user can do.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.diagnostic.help.push(text.into());
        self
    }

    /// Says what mends it.
    pub fn fix(&mut self, fix: Fix) -> &mut Self {
        self.fix = Some(fix);
        self
    }

    /// Lines and columns of its place, from 1: where it begins and where it ends. `None` when it has no place in a text.
    pub fn region(&self) -> Option<((usize, usize), (usize, usize))> {
        let label = self.diagnostic.labels.first()?;
        Some((label.position(label.span.start), label.position(label.span.end)))
    }
}
