//! A disk whose blocks of one size lie somewhere in a file: dynamic VHD, VHDX and VDI.
//!
//! In: where each block is. Out: the disk. Not here: the tables that say so.

use std::ops::Range;

use super::container::Container;
use super::{Disk, FormatError};

/// The place of a block that reads as zeros.
pub const HOLE: u64 = u64::MAX;

/// The disk.
pub struct Blocks {
    /// The file.
    pub file: Container,
    /// Size of the disk in bytes.
    pub size: u64,
    /// Bytes in a block, at least one.
    pub block: u64,
    /// Offset in the file of each block, or [`HOLE`]; as many as the size wants.
    pub places: Vec<u64>,
}

impl Blocks {
    fn place(&self, block: u64) -> u64 {
        self.places.get(block as usize).copied().unwrap_or(HOLE)
    }
}

impl Disk for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        if from >= self.size {
            return Ok(None);
        }
        let first = from / self.block;
        let rest = self.places.get(first as usize..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(|place| *place != HOLE) else { return Ok(None) };
        let length = rest[skipped..].iter().take_while(|place| **place != HOLE).count() as u64;
        let start = first + skipped as u64;
        let end = (start + length).saturating_mul(self.block);
        Ok(Some((start * self.block).max(from)..end.min(self.size)))
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), FormatError> {
        while !bytes.is_empty() {
            let within = offset % self.block;
            let length = (self.block - within).min(bytes.len() as u64);
            let (part, rest) = bytes.split_at_mut(length as usize);
            match self.place(offset / self.block) {
                HOLE => part.fill(0),
                place => {
                    let at = place.checked_add(within).ok_or_else(|| self.file.damaged("a block lies nowhere"))?;
                    self.file.fill(part, at)?;
                }
            }
            bytes = rest;
            offset += length;
        }
        Ok(())
    }
}
