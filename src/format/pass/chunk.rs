//! A piece of a disk on its way into images.
//!
//! In: a place in a disk and a buffer. Out: its bytes, and for each sink the units that they were divided into.

use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::unit::Unit;
use crate::format::FormatError;
use crate::format::reader::Disk;

/// Bytes in a chunk: every format's unit divides it.
pub const CHUNK: u64 = 2 << 20;
/// Bytes in the units of sinks that store data as it is: what a file system can leave out of a sparse file.
pub const PAGE: usize = 4096;

/// A piece of a disk. Its buffer goes back when it is dropped.
pub struct Chunk {
    /// Where it begins, in chunks.
    index: u64,
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Chunk {
    /// The chunk number `index` of the disk, unread.
    pub(super) fn new(index: u64, bytes: Vec<u8>, home: Sender<Vec<u8>>) -> Self {
        Self { index, bytes, home }
    }

    /// Reads it; what lies behind the end of the disk is zero.
    pub(super) fn read(&mut self, disk: &dyn Disk) -> Result<(), FormatError> {
        self.bytes.resize(CHUNK as usize, 0);
        let start = self.index * CHUNK;
        let length = disk.size().saturating_sub(start).min(CHUNK) as usize;
        disk.read_at(&mut self.bytes[..length], start)?;
        self.bytes[length..].fill(0);
        Ok(())
    }

    /// All its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // Fails when nobody reads any more: then nobody needs it.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// A chunk as a sink gets it.
pub struct Encoded {
    chunk: Arc<Chunk>,
    unit: usize,
    units: Vec<Unit>,
}

impl Encoded {
    /// `chunk`, divided into `units` of `unit` bytes.
    pub(super) fn new(chunk: Arc<Chunk>, unit: usize, units: Vec<Unit>) -> Self {
        Self { chunk, unit, units }
    }

    /// Where it begins in the disk, bytes.
    pub fn start(&self) -> u64 {
        self.chunk.index * CHUNK
    }

    /// Each unit: its number in the disk, what is stored of it, and its bytes as they are.
    pub fn units(&self) -> impl Iterator<Item = (u64, &Unit, &[u8])> {
        let first = self.start() / self.unit as u64;
        (first..)
            .zip(&self.units)
            .zip(self.chunk.bytes().chunks(self.unit))
            .map(|((at, unit), bytes)| (at, unit, bytes))
    }

    /// The runs of units that are not zero in the bytes `within` of the chunk: each run's place in the disk, and its bytes.
    pub fn runs(&self, within: Range<u64>) -> impl Iterator<Item = (u64, &[u8])> {
        let (mut at, end) = (within.start as usize / self.unit, within.end as usize / self.unit);
        std::iter::from_fn(move || {
            at += self.units[at..end].iter().take_while(|unit| **unit == Unit::Zero).count();
            let length = self.units[at..end].iter().take_while(|unit| **unit != Unit::Zero).count();
            let run = at * self.unit..(at + length) * self.unit;
            at += length;
            (length > 0).then(|| (self.start() + run.start as u64, &self.chunk.bytes()[run]))
        })
    }
}
