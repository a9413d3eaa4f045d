//! What a script did: one recorded call of a verb that changes something or reaches outside the image.
//!
//! Facts and reads are not effects: a loop over `exists` would drown what matters.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters of a text argument that are kept; files may be large, and a record is for people.
const TEXT: usize = 4096;

/// One call of a verb, recorded before it was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The verb: `write_file`.
    pub verb: String,
    /// Its arguments without the image; long texts are shortened.
    pub args: Vec<Value>,
    /// The element that called it.
    pub element: String,
    /// The file of the call: `vim/element.rhai`.
    pub file: String,
    /// Its line, from 1; 0 when unknown.
    pub line: usize,
}

/// A text argument as it is recorded.
pub fn text(text: &str) -> Value {
    match text.char_indices().nth(TEXT) {
        None => text.into(),
        Some((cut, _)) => format!("{}… ({} bytes)", text.get(..cut).unwrap_or_default(), text.len()).into(),
    }
}
