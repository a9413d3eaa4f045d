//! Makes the times in a new ext file system the same in every build, and gives its root folder the right mode.
//!
//! mke2fs copies each file's change and access times, which no one can choose. In: a file system that mke2fs made (the kernel's
//! `Documentation/filesystems/ext4`: super block, group descriptors, inode tables). Out: the same with times of at most `time`.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use super::crc32c::crc32c;

const MAGIC: u64 = 0xef53;
/// Checksums of metadata (read-only compatible feature).
const METADATA_CHECKSUM: u64 = 0x400;
/// The seed of checksums is kept rather than derived (incompatible feature).
const CHECKSUM_SEED: u64 = 0x2000;
/// Descriptors are spread over the groups (incompatible feature).
const META_BLOCK_GROUPS: u64 = 0x10;
/// The root folder's inode.
const ROOT: u64 = 2;

/// What the root folder is to look like: its permission bits, owner and group.
#[derive(Clone, Copy)]
pub(super) struct Root {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Goes through the used inodes of the file system at `start` of `file`.
pub(super) fn normalise(file: &File, start: u64, time: Option<i64>, root: Option<Root>) -> io::Result<()> {
    let mut superblock = vec![0; 1024];
    file.read_exact_at(&mut superblock, start + 1024)?;
    let field = |at: usize, length: usize| number(&superblock, at, length);
    if field(56, 2) != MAGIC || field(96, 4) & META_BLOCK_GROUPS != 0 {
        return Err(io::Error::new(ErrorKind::Unsupported, "its layout is not one that mke2fs makes by default"));
    }
    let block = 1024u64 << field(24, 4);
    let (per_group, size) = (field(40, 4), field(88, 2) as usize);
    let wide = field(96, 4) & 0x80 != 0;
    let descriptor = if wide { field(254, 2) as usize } else { 32 };
    let groups = field(0, 4).div_ceil(per_group);
    let seed = (field(100, 4) & METADATA_CHECKSUM != 0).then(|| {
        if field(96, 4) & CHECKSUM_SEED != 0 { field(0x270, 4) as u32 } else { crc32c(!0, &superblock[104..120]) }
    });
    let mut descriptors = vec![0; groups as usize * descriptor];
    file.read_exact_at(&mut descriptors, start + (field(20, 4) + 1) * block)?;
    for (group, entry) in (0..).zip(descriptors.chunks(descriptor)) {
        let high = |at: usize, length: usize| if descriptor >= 64 { number(entry, at, length) } else { 0 };
        let unused = number(entry, 28, 2) | high(50, 2) << 16;
        // Without checksums nothing is known to be unused, but such tables are still short.
        let used = if number(entry, 18, 2) & 1 != 0 { 0 } else { per_group - unused.min(per_group) };
        let at = start + (number(entry, 8, 4) | high(40, 4) << 32) * block;
        let mut table = vec![0; used as usize * size];
        file.read_exact_at(&mut table, at)?;
        for (index, inode) in (1..).zip(table.chunks_mut(size)) {
            let id = group * per_group + index;
            if number(inode, 0, 2) == 0 {
                continue;
            }
            if let Some(time) = time {
                clamp(inode, time);
            }
            if let (ROOT, Some(root)) = (id, root) {
                own(inode, root);
            }
            if let Some(seed) = seed {
                seal(inode, id as u32, seed);
            }
        }
        file.write_all_at(&table, at)?;
    }
    Ok(())
}

/// Access, change and creation are at `time`, modification not later.
fn clamp(inode: &mut [u8], time: i64) {
    let low = (time as u32).to_le_bytes();
    let high = ((((time - i64::from(time as i32)) >> 32) & 3) as u32).to_le_bytes();
    let extra = if inode.len() > 128 { number(inode, 128, 2) } else { 0 };
    let modified = i64::from(number(inode, 16, 4) as u32 as i32)
        + if extra >= 12 { ((number(inode, 136, 4) & 3) << 32) as i64 } else { 0 };
    let late = modified > time;
    // Each time and, where the inode has room, its high bits and nanoseconds.
    for (at, more, room, set) in [(8, 140, 16, true), (12, 132, 8, true), (16, 136, 12, late), (144, 148, 24, true)] {
        if set && (at < 128 || extra >= room) {
            inode[at..at + 4].copy_from_slice(&low);
        }
        if set && extra >= room {
            inode[more..more + 4].copy_from_slice(&high);
        }
    }
}

fn own(inode: &mut [u8], root: Root) {
    let kind = number(inode, 0, 2) as u32 & 0o170_000;
    inode[..2].copy_from_slice(&((kind | root.mode & 0o7777) as u16).to_le_bytes());
    let (uid, gid) = (root.uid.to_le_bytes(), root.gid.to_le_bytes());
    inode[2..4].copy_from_slice(&uid[..2]);
    inode[24..26].copy_from_slice(&gid[..2]);
    inode[120..122].copy_from_slice(&uid[2..]);
    inode[122..124].copy_from_slice(&gid[2..]);
}

/// Writes the inode's checksum: over its number, its generation and itself with the checksum at zero.
fn seal(inode: &mut [u8], id: u32, seed: u32) {
    let high = inode.len() > 128 && number(inode, 128, 2) >= 4;
    inode[124..126].fill(0);
    if high {
        inode[130..132].fill(0);
    }
    let sum = crc32c(seed, &id.to_le_bytes());
    let sum = crc32c(crc32c(sum, &inode[100..104]), inode).to_le_bytes();
    inode[124..126].copy_from_slice(&sum[..2]);
    if high {
        inode[130..132].copy_from_slice(&sum[2..]);
    }
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
