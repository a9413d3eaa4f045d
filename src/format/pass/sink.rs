//! What takes a disk in order and makes an image of it.

use super::{Coding, Encoded};
use crate::format::FormatError;

/// An image being written.
pub trait Sink: Send {
    /// How it wants the disk's chunks.
    fn coding(&self) -> Coding;

    /// Takes a chunk. They come in the disk's order; those that are missing read as zeros.
    ///
    /// # Errors
    /// The file cannot be written.
    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError>;

    /// Writes what is known last.
    ///
    /// # Errors
    /// The file cannot be written.
    fn finish(self: Box<Self>) -> Result<Written, FormatError>;
}

/// A finished image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its size in bytes.
    pub size: u64,
    /// Its digests as (name, lower-case hex), when it was written from its first byte to its last and they could be computed on the
    /// way; absent when a header or a table at its beginning was known only at the end.
    pub digests: Option<Vec<(String, String)>>,
}
