//! An error that points into a user's file.
//!
//! In: a message and places in source texts. Out: text in the manner of rustc (`render`). Not here: deciding what is wrong.

use serde::{Deserialize, Serialize};

/// An error or warning with the places in the user's files that explain it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable dotted code: `permission.denied`, `manifest.field`. Empty when there is none.
    pub code: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The places, the most important first.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

/// A place in a source text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The file as the user knows it: `vim/element.rhai`, `std/packages.rhai`.
    pub file: String,
    /// The whole text of that file.
    pub source: String,
    /// Byte range in `source`.
    pub span: std::ops::Range<usize>,
    /// What to say at the place; may be empty.
    pub text: String,
}
