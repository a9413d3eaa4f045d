//! Zstandard on all cores (RFC 8878).
//!
//! In: bytes. Out: frames that follow each other, which every reader takes as one stream. Their borders are fixed, so equal input
//! gives equal output on every machine. Not here: what is compressed.

use std::io::{self, Write};

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

/// Bytes in a frame: larger ones save little, and cost memory where the stream is read.
const PART: usize = 4 << 20;
/// Level 3 is what zstd itself takes.
const LEVEL: i32 = 3;
/// Parts that are compressed at once at most, whatever the number of cores.
const MOST_PARTS: usize = 16;

/// Compresses what is written to it; [`Zst::finish`] ends the stream.
pub struct Zst<W: Write> {
    out: W,
    waiting: Vec<u8>,
    /// Bytes that are worth waking all cores for.
    batch: usize,
    empty: bool,
}

impl<W: Write> Zst<W> {
    /// Begins a stream in `out`.
    pub fn new(out: W) -> Self {
        let batch = PART * (2 * rayon::current_num_threads()).clamp(2, MOST_PARTS);
        Self { out, waiting: Vec::with_capacity(batch), batch, empty: true }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// The last frames cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if self.empty {
            // Nothing at all is no stream.
            self.out.write_all(&frame(&[])?)?;
        }
        self.compress()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn compress(&mut self) -> io::Result<()> {
        let frames: Vec<io::Result<Vec<u8>>> = self.waiting.par_chunks(PART).map(frame).collect();
        for frame in frames {
            self.out.write_all(&frame?)?;
        }
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Zst<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = bytes.len().min(self.batch - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..room]);
        self.empty &= bytes.is_empty();
        if self.waiting.len() == self.batch {
            self.compress()?;
        }
        Ok(room)
    }

    /// Does nothing: frames have fixed borders.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn frame(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::qcow2::tests::noise;

    #[test]
    fn frames_of_every_size_are_read_back_as_one_stream() {
        for size in [0, 1, PART - 1, PART, PART + 1, 2 * PART + 17] {
            let bytes = noise(size, 7);
            let compressed = |batch| {
                let mut zst = Zst::new(Vec::new());
                zst.batch = batch;
                for piece in bytes.chunks(70_001) {
                    zst.write_all(piece).unwrap();
                }
                zst.finish().unwrap()
            };
            let stream = compressed(PART);
            assert!(zstd::decode_all(stream.as_slice()).unwrap() == bytes, "{size}");
            // How many parts wait for each other does not matter.
            assert!(stream == compressed(2 * PART), "{size}");
        }
    }
}
