//! Microsoft's Virtual Hard Disk, fixed and dynamic (Virtual Hard Disk Image Format Specification 1.0).
//!
//! In: a disk. Out: the disk followed by a footer, or blocks of 2 MiB between two copies of the footer. The size is exactly the
//! disk's: the creator `qem2` tells QEMU to believe the size instead of the geometry, which cannot express every one; everybody else does so
//! anyway. Not here: differencing images.
//!
//! ```text
//! footer | header | block allocation table | (sectors in use, data)… | footer
//! ```

use super::FormatError;
use super::geometry::Geometry;
use super::identity::Target;
use super::pass::{Blocks, Coding, Encoded, Sink, Stream, Written};

/// Bytes in a sector, and in the footer.
pub const SECTOR: u64 = 512;
/// Bytes in a block; QEMU and Hyper-V make the same.
const BLOCK: u64 = 2 << 20;
/// Where the header of a dynamic disk is.
const HEADER: u64 = SECTOR;
/// Where its table of blocks is.
const TABLE: u64 = 3 * SECTOR;
/// The format's largest disk: 2040 GiB.
const LARGEST: u64 = 2040 << 30;
/// Seconds from 1970 to 2000, where the format's time begins.
const EPOCH: i64 = 946_684_800;
/// An entry of a block without data.
const UNUSED: u32 = u32::MAX;

/// The kinds of VHD that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The disk as it is, and a footer.
    Fixed,
    /// Only blocks that have data.
    Dynamic,
}

/// Begins the image of `target`.
///
/// # Errors
/// The disk is too large, or the file cannot be made.
pub fn sink(target: &Target, kind: Kind) -> Result<Box<dyn Sink>, FormatError> {
    let size = target.size.next_multiple_of(SECTOR);
    if size > LARGEST {
        return Err(FormatError::TooLarge { path: target.file.clone(), size, format: "vhd" });
    }
    let footer = footer(target, size, kind);
    Ok(match kind {
        Kind::Fixed => Box::new(Fixed { stream: Stream::create(&target.file, &target.algorithms)?, size, footer }),
        Kind::Dynamic => {
            let entries = size.div_ceil(BLOCK);
            let start = (TABLE + entries * 4).next_multiple_of(SECTOR);
            // Every sector of a block is in use: zeros are stored, though the file need not hold them.
            let in_use = vec![0xff; (BLOCK / SECTOR / 8) as usize];
            Box::new(Dynamic { blocks: Blocks::create(&target.file, BLOCK, in_use, start)?, entries, footer })
        }
    })
}

struct Fixed {
    stream: Stream,
    size: u64,
    footer: Vec<u8>,
}

impl Sink for Fixed {
    fn coding(&self) -> Coding {
        Coding::PAGES
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        self.stream.add(encoded, self.size)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FormatError> {
        self.stream.skip_to(self.size);
        self.stream.write(&self.footer)?;
        self.stream.finish()
    }
}

struct Dynamic {
    blocks: Blocks,
    entries: u64,
    footer: Vec<u8>,
}

impl Sink for Dynamic {
    fn coding(&self) -> Coding {
        Coding::PAGES
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        self.blocks.add(encoded)
    }

    fn finish(self: Box<Self>) -> Result<Written, FormatError> {
        let mut table = vec![UNUSED; self.entries as usize];
        for (number, place) in self.blocks.placed() {
            table[*number as usize] = (place / SECTOR) as u32;
        }
        let mut table: Vec<u8> = table.into_iter().flat_map(u32::to_be_bytes).collect();
        table.resize(table.len().next_multiple_of(SECTOR as usize), 0xff);
        self.blocks.write(&self.footer, 0)?;
        self.blocks.write(&header(self.entries), HEADER)?;
        self.blocks.write(&table, TABLE)?;
        self.blocks.write(&self.footer, self.blocks.end())?;
        Ok(Written { size: self.blocks.end() + SECTOR, digests: None })
    }
}

fn footer(target: &Target, size: u64, kind: Kind) -> Vec<u8> {
    let geometry = Geometry::of_vhd(size / SECTOR);
    let mut footer = Vec::with_capacity(SECTOR as usize);
    footer.extend(b"conectix");
    // A bit that is always set.
    footer.extend(2_u32.to_be_bytes());
    footer.extend(0x0001_0000_u32.to_be_bytes());
    footer.extend(match kind {
        Kind::Fixed => u64::MAX.to_be_bytes(),
        Kind::Dynamic => HEADER.to_be_bytes(),
    });
    footer.extend((target.time.saturating_sub(EPOCH).clamp(0, u32::MAX.into()) as u32).to_be_bytes());
    footer.extend(b"qem2");
    footer.extend(0x0005_0003_u32.to_be_bytes());
    footer.extend(b"Wi2k");
    footer.extend(size.to_be_bytes());
    footer.extend(size.to_be_bytes());
    footer.extend((geometry.cylinders as u16).to_be_bytes());
    footer.extend([geometry.heads as u8, geometry.sectors as u8]);
    footer.extend(match kind {
        Kind::Fixed => 2_u32.to_be_bytes(),
        Kind::Dynamic => 3_u32.to_be_bytes(),
    });
    footer.extend([0; 4]);
    footer.extend(target.uuid("vhd").as_bytes());
    footer.resize(SECTOR as usize, 0);
    seal(&mut footer, 64);
    footer
}

/// The header of a dynamic disk with `entries` blocks.
fn header(entries: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(1024);
    header.extend(b"cxsparse");
    header.extend(u64::MAX.to_be_bytes());
    header.extend(TABLE.to_be_bytes());
    header.extend(0x0001_0000_u32.to_be_bytes());
    header.extend((entries as u32).to_be_bytes());
    header.extend((BLOCK as u32).to_be_bytes());
    header.resize(1024, 0);
    seal(&mut header, 36);
    header
}

/// Puts the checksum into its place at `at`.
fn seal(bytes: &mut [u8], at: usize) {
    let sum = checksum(bytes, at);
    bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

/// The ones' complement of the sum of all bytes but the checksum's own at `at`.
pub fn checksum(bytes: &[u8], at: usize) -> u32 {
    let counted = bytes.iter().enumerate().filter(|(index, _)| !(at..at + 4).contains(index));
    !counted.fold(0_u32, |sum, (_, byte)| sum.wrapping_add((*byte).into()))
}
