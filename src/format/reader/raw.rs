//! A disk byte for byte.

use std::ops::Range;

use super::container::Container;
use super::{Disk, FormatError};
use crate::format::sparse::Extents;

/// The disk.
pub struct Raw {
    file: Container,
    size: u64,
}

impl Raw {
    /// All of `file`.
    pub fn new(file: Container) -> Self {
        let size = file.length();
        Self { file, size }
    }

    /// The first `size` bytes of `file`.
    pub fn beginning(file: Container, size: u64) -> Self {
        Self { file, size }
    }
}

impl Disk for Raw {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        let next = Extents::from(self.file.file(), from, self.size).next();
        next.transpose().map_err(|error| self.file.failed(error))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), FormatError> {
        self.file.fill(bytes, offset)
    }
}
