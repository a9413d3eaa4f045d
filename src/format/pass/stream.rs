//! A file that is written from its first byte to its last.
//!
//! In: bytes and holes, in order. Out: the file, sparse, and its digests, computed on the way. A file that is complete already
//! (shared blocks, a raw image in its place) can be passed through it for the digests alone.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{CHUNK, Encoded, Written};
use crate::format::FormatError;
use crate::format::checksum::Algorithm;
use crate::format::digests::Digests;

/// The file.
pub struct Stream {
    /// Absent when the bytes are there already.
    file: Option<File>,
    path: Utf8PathBuf,
    at: u64,
    digests: Digests,
}

impl Stream {
    /// A new file at `path`.
    pub fn create(path: &Utf8Path, algorithms: &[Algorithm]) -> Result<Self, FormatError> {
        let file = File::create(path).map_err(FormatError::io("create", path))?;
        Ok(Self { file: Some(file), ..Self::observe(path, algorithms) })
    }

    /// Digests of what a file at `path` holds already.
    pub fn observe(path: &Utf8Path, algorithms: &[Algorithm]) -> Self {
        Self { file: None, path: path.to_owned(), at: 0, digests: Digests::new(algorithms) }
    }

    /// Bytes so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        if let Some(file) = &self.file {
            file.write_all_at(bytes, self.at).map_err(FormatError::io("write", &self.path))?;
        }
        self.digests.bytes(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Adds a chunk of a disk of `size` bytes: its data, its holes as holes, nothing behind the disk's end.
    pub fn add(&mut self, encoded: &Encoded, size: u64) -> Result<(), FormatError> {
        for (at, bytes) in encoded.runs(0..CHUNK) {
            self.skip_to(at);
            let within = size.saturating_sub(at).min(bytes.len() as u64);
            self.write(&bytes[..within as usize])?;
        }
        Ok(())
    }

    /// Adds zeros up to the offset `to`, as a hole.
    pub fn skip_to(&mut self, to: u64) {
        let number = to.saturating_sub(self.at);
        if number > 0 {
            self.digests.zeros(number);
            self.at += number;
        }
    }

    /// Ends the file where it is.
    pub fn finish(self) -> Result<Written, FormatError> {
        if let Some(file) = &self.file {
            file.set_len(self.at).map_err(FormatError::io("write", &self.path))?;
        }
        Ok(Written { size: self.at, digests: Some(self.digests.finish()) })
    }
}
