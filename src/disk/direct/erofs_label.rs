//! The label of a new EROFS (the kernel's `Documentation/filesystems/erofs.rst`, `struct erofs_super_block`), which mkfs.erofs writes
//! only since 1.8.
//!
//! In: a file system that mkfs.erofs made. Out: the same with a label, and with the checksum of its super block.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

use super::crc32c::crc32c;

/// Where the super block begins.
const START: u64 = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;
/// The super block's block has a checksum (compatible feature).
const CHECKSUM: u32 = 1;
/// Where the label is in the super block, and how many bytes it has; shorter ones end with a zero.
const LABEL: std::ops::Range<usize> = 64..80;

/// Gives the file system in `file` a label.
pub(super) fn set(file: &Utf8Path, label: &str) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    let mut head = vec![0; 128];
    file.read_exact_at(&mut head, START)?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (magic, features, bits) = (number(0), number(8), u32::from(head[12]));
    if magic != MAGIC || !(10..=16).contains(&bits) || label.len() > LABEL.len() {
        return Err(io::Error::other("it is no EROFS that takes this label"));
    }
    // A block holds what the checksum is of: all behind the room for boot code.
    let mut block = vec![0; ((1_u64 << bits).max(START + head.len() as u64) - START) as usize];
    file.read_exact_at(&mut block, START)?;
    block[LABEL].fill(0);
    block[LABEL.start..LABEL.start + label.len()].copy_from_slice(label.as_bytes());
    if features & CHECKSUM != 0 {
        block[4..8].fill(0);
        let sum = crc32c(!0, &block).to_le_bytes();
        block[4..8].copy_from_slice(&sum);
    }
    file.write_all_at(&block, START)
}
