//! A writer that computes digests of what passes through it.

use std::io::{self, Write};

use super::checksum::Algorithm;
use super::digests::Digests;
use super::pass::Written;

/// The writer.
pub struct Hashed<W: Write> {
    out: W,
    digests: Digests,
    size: u64,
}

impl<W: Write> Hashed<W> {
    /// Passes everything on to `out`.
    pub fn new(out: W, algorithms: &[Algorithm]) -> Self {
        Self { out, digests: Digests::new(algorithms), size: 0 }
    }

    /// What it wrote to, the number of bytes and their digests.
    ///
    /// # Errors
    /// What was buffered cannot be written.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        self.out.flush()?;
        Ok((self.out, Written { size: self.size, digests: Some(self.digests.finish()) }))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.digests.bytes(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
