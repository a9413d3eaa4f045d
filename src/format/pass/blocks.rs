//! The blocks of a disk, laid one after the other into a file as they turn out to hold data: what dynamic VHD, VHDX and VDI share.
//!
//! In: chunks in order. Out: the file from where its data begin, and where each block went. Not here: headers and tables.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{CHUNK, Encoded};
use crate::format::FormatError;

/// The file and its blocks.
pub struct Blocks {
    file: File,
    path: Utf8PathBuf,
    /// Bytes in a block; divides a chunk.
    block: u64,
    /// What precedes each block.
    lead: Vec<u8>,
    /// Where the next block goes.
    end: u64,
    /// Blocks that have data: number, and offset of the lead.
    placed: Vec<(u64, u64)>,
}

impl Blocks {
    /// A new file at `path` whose blocks of `block` bytes begin at `start`, each behind `lead`.
    pub fn create(path: &Utf8Path, block: u64, lead: Vec<u8>, start: u64) -> Result<Self, FormatError> {
        let file = File::create(path).map_err(FormatError::io("create", path))?;
        Ok(Self { file, path: path.to_owned(), block, lead, end: start, placed: Vec::new() })
    }

    /// Adds the blocks of a chunk that have data; their zeros become holes.
    pub fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        for start in (0..CHUNK).step_by(self.block as usize) {
            let first = encoded.start() + start;
            let mut place = None;
            for (at, bytes) in encoded.runs(start..start + self.block) {
                let base = match place {
                    Some(base) => base,
                    None => *place.insert(self.allocate(first / self.block)?),
                };
                self.write(bytes, base + (at - first))?;
            }
        }
        Ok(())
    }

    /// Gives the block `number` its place; returns the offset of its data.
    fn allocate(&mut self, number: u64) -> Result<u64, FormatError> {
        let place = self.end;
        if !self.lead.is_empty() {
            self.write(&self.lead, place)?;
        }
        self.placed.push((number, place));
        let data = place + self.lead.len() as u64;
        self.end = data + self.block;
        Ok(data)
    }

    /// Blocks that have data, in rising order: number, and offset of what precedes them.
    pub fn placed(&self) -> &[(u64, u64)] {
        &self.placed
    }

    /// Offset of the end of the last block.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Writes `bytes` at `offset`.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), FormatError> {
        self.file.write_all_at(bytes, offset).map_err(FormatError::io("write", &self.path))
    }

    /// Makes the file `size` bytes long.
    pub fn set_size(&self, size: u64) -> Result<(), FormatError> {
        self.file.set_len(size).map_err(FormatError::io("write", &self.path))
    }
}
