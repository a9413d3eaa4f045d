//! What is wrong with a description, and where.

use crate::diagnostic::{Diagnostic, Label};
use crate::disk::yaml::Place;

/// Why a description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}:{column}: {message}")]
pub struct ConfigError {
    /// What the user calls the description.
    pub origin: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
    /// The same for a person at a screen.
    pub diagnostic: Box<Diagnostic>,
}

/// A size of sectors that no disk has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DIB_BLOCK_SIZE `{0}` is neither 512 nor 4096")]
pub struct SectorSizeError(pub String);

impl ConfigError {
    pub(super) fn new(message: String, place: Place, text: &str, origin: &str, help: Vec<String>) -> Self {
        // The first line of a block value is enough to find it.
        let start = place.bytes.start.min(text.len());
        let end = text[start..].find('\n').map_or(text.len(), |line| start + line).min(place.bytes.end.max(start));
        let label = Label { file: origin.into(), source: text.into(), span: start..end, text: String::new() };
        let diagnostic = Diagnostic { code: "disk.config".into(), message: message.clone(), labels: vec![label], help };
        Self {
            origin: origin.into(),
            line: place.line,
            column: place.column,
            message,
            diagnostic: Box::new(diagnostic),
        }
    }
}
