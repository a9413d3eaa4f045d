//! A VMDK in one sparse file: `monolithicSparse` and `streamOptimized`.
//!
//! In: the file. Out: the disk. Refused: descriptors that name other files, parents.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress};

use super::container::{Container, le};
use super::tables::Tables;
use super::{Disk, FormatError};
use crate::format::vmdk::{AT_END, SECTOR};

/// Flags: entries of 1 are grains of zeros; grains are compressed.
const ZERO_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
/// The largest grain that is taken to be one, bytes.
const LARGEST_GRAIN: u64 = 1 << 20;
/// Bytes before a compressed grain: where it belongs, and its length.
const MARKER: u64 = 12;

/// An image.
pub struct Image {
    file: Container,
    size: u64,
    grain: u64,
    /// Grains in a table.
    entries: u64,
    zero_grains: bool,
    compressed: bool,
    directory: Vec<u8>,
    tables: Tables,
}

impl Image {
    /// Reads the header and the directory.
    pub fn open(file: Container) -> Result<Self, FormatError> {
        let mut header = file.table(0, SECTOR)?;
        if le::u64(&header, 56) == AT_END {
            // The last three sectors: a marker, the final header, an end.
            let at = file.length().checked_sub(2 * SECTOR).ok_or_else(|| file.damaged("it ends too early"))?;
            header = file.table(at, SECTOR)?;
        }
        if !header.starts_with(b"KDMV") {
            return Err(file.damaged("it has no header"));
        }
        let flags = le::u32(&header, 8);
        let descriptor = (le::u64(&header, 28), le::u64(&header, 36));
        refuse_parent(&file, descriptor)?;
        let sectors = |number: u64| number.checked_mul(SECTOR).ok_or_else(|| file.damaged("a number is too large"));
        let (size, grain) = (sectors(le::u64(&header, 12))?, sectors(le::u64(&header, 20))?);
        let entries = u64::from(le::u32(&header, 44));
        let directory = sectors(le::u64(&header, 56))?;
        if !grain.is_power_of_two() || !(4096..=LARGEST_GRAIN).contains(&grain) || !(1..=65_536).contains(&entries) {
            return Err(file.damaged("its grains have an impossible size"));
        }
        let compressed = flags & COMPRESSED != 0;
        if compressed && le::u16(&header, 77) != 1 {
            return Err(file.unsupported("another compression"));
        }
        let directory = file.table(directory, size.div_ceil(grain * entries).saturating_mul(4))?;
        file.check_tables(directory.chunks_exact(4).filter(|entry| le::u32(entry, 0) != 0).count(), entries * 4)?;
        let zero_grains = flags & ZERO_GRAINS != 0;
        Ok(Self { file, size, grain, entries, zero_grains, compressed, directory, tables: Tables::default() })
    }

    /// Offset of the table of the grain `index`; 0 when there is none.
    fn table_of(&self, index: u64) -> u64 {
        u64::from(le::u32(&self.directory, (index / self.entries) as usize * 4)) * SECTOR
    }

    /// Offset of the grain `index`; 0 when it reads as zeros.
    fn place(&self, index: u64) -> Result<u64, FormatError> {
        let table = self.table_of(index);
        if table == 0 {
            return Ok(0);
        }
        let table = self.tables.get(&self.file, table, self.entries * 4)?;
        match le::u32(&table, (index % self.entries) as usize * 4) {
            1 if self.zero_grains => Ok(0),
            sector => Ok(u64::from(sector) * SECTOR),
        }
    }

    /// The whole grain at `place`.
    fn decompress(&self, place: u64) -> Result<Vec<u8>, FormatError> {
        let marker = self.file.table(place, MARKER)?;
        let length = u64::from(le::u32(&marker, 8));
        if length > 2 * self.grain {
            return Err(self.file.damaged("a grain is too large"));
        }
        let packed = self.file.table(place + MARKER, length)?;
        let mut plain = vec![0; self.grain as usize];
        let mut inflate = Decompress::new(true);
        let ended = inflate.decompress(&packed, &mut plain, FlushDecompress::Finish);
        // The last grain of a disk may be short.
        if ended.is_err() || inflate.total_out() == 0 {
            return Err(self.file.damaged("a grain cannot be decompressed"));
        }
        Ok(plain)
    }
}

/// Refuses an image whose descriptor (offset and length in sectors) names a parent.
fn refuse_parent(file: &Container, (offset, length): (u64, u64)) -> Result<(), FormatError> {
    if offset == 0 {
        return Ok(());
    }
    let bytes = offset.checked_mul(SECTOR).zip(length.min(2048).checked_mul(SECTOR));
    let (offset, length) = bytes.ok_or_else(|| file.damaged("its descriptor lies nowhere"))?;
    let text = file.table(offset, length)?;
    let text = String::from_utf8_lossy(&text);
    let parent = text.lines().find_map(|line| line.trim().strip_prefix("parentCID="));
    if parent.is_some_and(|parent| !parent.trim_end_matches('\0').trim().eq_ignore_ascii_case("ffffffff")) {
        return Err(file.unsupported("a parent"));
    }
    Ok(())
}

impl Disk for Image {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        if from >= self.size {
            return Ok(None);
        }
        let grains = self.size.div_ceil(self.grain);
        let mut start = from / self.grain;
        while start < grains {
            if self.table_of(start) == 0 {
                start = (start / self.entries + 1) * self.entries;
            } else if self.place(start)? == 0 {
                start += 1;
            } else {
                break;
            }
        }
        if start >= grains {
            return Ok(None);
        }
        let mut end = start + 1;
        while end < grains && !end.is_multiple_of(self.entries) && self.place(end)? != 0 {
            end += 1;
        }
        Ok(Some((start * self.grain).max(from)..(end * self.grain).min(self.size)))
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), FormatError> {
        while !bytes.is_empty() {
            let within = offset % self.grain;
            let length = (self.grain - within).min(bytes.len() as u64);
            let (part, rest) = bytes.split_at_mut(length as usize);
            match self.place(offset / self.grain)? {
                0 => part.fill(0),
                place if self.compressed => {
                    let plain = self.decompress(place)?;
                    part.copy_from_slice(&plain[within as usize..(within + length) as usize]);
                }
                place => self.file.fill(part, place + within)?,
            }
            bytes = rest;
            offset += length;
        }
        Ok(())
    }
}
