//! Gzip on all cores (RFC 1951 and 1952).
//!
//! In: bytes. Out: one gzip member, whose parts were compressed apart: each ends on a byte with an empty stored block, so they
//! follow each other as one stream. The parts' borders are fixed, so equal input gives equal output on every machine. Not here:
//! what is compressed.

use std::io::{self, Write};

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

/// Bytes that are compressed at once.
const PART: usize = 1 << 20;
/// Magic, deflate, no flags, no time, no hint, Unix.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
/// An empty last block.
const END: [u8; 2] = [3, 0];
/// Level 9 takes twice the time for a file 1 % smaller.
const LEVEL: u32 = 6;

/// Compresses what is written to it; [`Gzip::finish`] ends the member.
pub struct Gzip<W: Write> {
    out: W,
    waiting: Vec<u8>,
    /// Bytes that are worth waking all cores for.
    batch: usize,
    checksum: Hasher,
    size: u64,
}

impl<W: Write> Gzip<W> {
    /// Begins a member in `out`.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let batch = PART * 2 * rayon::current_num_threads();
        Ok(Self { out, waiting: Vec::with_capacity(batch), batch, checksum: Hasher::new(), size: 0 })
    }

    /// Ends the member.
    pub fn finish(mut self) -> io::Result<W> {
        self.compress()?;
        self.out.write_all(&END)?;
        self.out.write_all(&self.checksum.clone().finalize().to_le_bytes())?;
        // Modulo 2^32, says the format.
        self.out.write_all(&(self.size as u32).to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn compress(&mut self) -> io::Result<()> {
        let parts: Vec<io::Result<(Vec<u8>, Hasher)>> = self.waiting.par_chunks(PART).map(part).collect();
        for part in parts {
            let (bytes, checksum) = part?;
            self.out.write_all(&bytes)?;
            self.checksum.combine(&checksum);
        }
        self.size += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = bytes.len().min(self.batch - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..room]);
        if self.waiting.len() == self.batch {
            self.compress()?;
        }
        Ok(room)
    }

    /// Does nothing: parts have fixed borders.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn part(bytes: &[u8]) -> io::Result<(Vec<u8>, Hasher)> {
    let mut checksum = Hasher::new();
    checksum.update(bytes);
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 1024);
    loop {
        let done = deflate.total_in() as usize;
        let status = deflate.compress_vec(&bytes[done..], &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
        // All is out when there was room for more.
        if deflate.total_in() as usize == bytes.len() && out.len() < out.capacity() {
            return Ok((out, checksum));
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("the compressor ended early"));
        }
        out.reserve(bytes.len() / 4 + 1024);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(bytes: &[u8], batch: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        gzip.batch = batch;
        for piece in bytes.chunks(70_001) {
            gzip.write_all(piece).unwrap();
        }
        gzip.finish().unwrap()
    }

    #[test]
    fn one_member_of_every_size_is_read_back() {
        let noise = |size: usize| -> Vec<u8> {
            let mut state = 1_u32;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 & 0x1f
            };
            (0..size).map(|_| next()).collect()
        };
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 17] {
            let bytes = noise(size);
            let gzip = compressed(&bytes, 2 * PART);
            let mut back = Vec::new();
            // Reads one member only.
            flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{size}");
            // How many parts wait for each other does not matter.
            assert!(gzip == compressed(&bytes, 4 * PART), "{size}");
        }
    }

    #[test]
    fn gunzip_reads_it() {
        use crate::event::Events;
        use crate::sandbox::command::Command;
        let gzip = compressed(&[7; 3 * PART], 2 * PART);
        let read = Command::new(["gunzip", "-c"]).quiet().stdin(gzip).check(&Events::none()).unwrap();
        assert!(read.stdout == vec![7; 3 * PART]);
    }
}
