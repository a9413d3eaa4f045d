//! ext2, ext3 and ext4.

use super::{label, le32, uuid};
use crate::inspect::report::Filesystem;
use crate::inspect::{InspectError, Window};

/// Where the superblock is.
const SUPERBLOCK: u64 = 1024;
/// Compatible: a journal. Incompatible, what only ext4 has: extents, 64-bit numbers, flexible groups.
const JOURNAL: u64 = 4;
const OF_EXT4: u64 = 0x40 | 0x80 | 0x200;
const WIDE: u64 = 0x80;

/// How a file system is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes in a block.
    pub block: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Blocks in a group.
    pub group: u64,
}

/// Reads the superblock's numbers, when there is one.
pub fn geometry(window: &Window) -> Result<Option<Geometry>, InspectError> {
    let block = window.bytes::<1024>(SUPERBLOCK)?;
    if block[56..58] != [0x53, 0xef] || le32(&block, 24) > 6 {
        return Ok(None);
    }
    let high = if le32(&block, 96) & WIDE != 0 { le32(&block, 0x150) << 32 } else { 0 };
    let (size, blocks) = (1024 << le32(&block, 24), high | le32(&block, 4));
    Ok(Some(Geometry { block: size, blocks, group: le32(&block, 32) }))
}

/// Reads the superblock.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    let Some(Geometry { block: size, blocks, .. }) = geometry(window)? else { return Ok(None) };
    let block = window.bytes::<1024>(SUPERBLOCK)?;
    let incompatible = le32(&block, 96);
    let high = if incompatible & WIDE != 0 { le32(&block, 0x158) << 32 } else { 0 };
    let free = high | le32(&block, 12);
    let kind = match (incompatible & OF_EXT4 != 0, le32(&block, 92) & JOURNAL != 0) {
        (true, _) => "ext4",
        (false, true) => "ext3",
        (false, false) => "ext2",
    };
    Ok(Some(Filesystem {
        kind,
        label: label(&block[120..136]),
        uuid: uuid(&block[104..120]),
        size: Some(blocks.saturating_mul(size)),
        used: Some(blocks.saturating_sub(free).saturating_mul(size)),
    }))
}
