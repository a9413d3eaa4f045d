//! What fills a partition, told by its first bytes.
//!
//! In: a window. Out: type, label, identifier, size and usage, as far as its superblock says them. One file a family. Not here: files.

mod btrfs;
mod ext;
mod fat;
mod other;
mod xfs;

use super::report::Filesystem;
use super::{InspectError, Window};

pub use ext::{Geometry as ExtGeometry, geometry as ext_geometry};
pub use fat::Geometry as FatGeometry;

/// What is in `window`; `None` when it is nothing known.
///
/// # Errors
/// The image cannot be read.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    // FAT last: its mark is the weakest.
    for family in [other::probe, ext::probe, xfs::probe, btrfs::probe, fat::probe] {
        if let Some(found) = family(window)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A label of fixed length, filled up with zeros or blanks; `None` when it is empty.
fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// An identifier; `None` when it is all zeros.
fn uuid(bytes: &[u8]) -> Option<String> {
    uuid::Uuid::from_slice(bytes).ok().filter(|uuid| !uuid.is_nil()).map(|uuid| uuid.to_string())
}

fn le16(bytes: &[u8], at: usize) -> u64 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]]).into()
}

fn le32(bytes: &[u8], at: usize) -> u64 {
    le16(bytes, at) | le16(bytes, at + 2) << 16
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    le32(bytes, at) | le32(bytes, at + 4) << 32
}

fn be32(bytes: &[u8], at: usize) -> u64 {
    le32(bytes, at).swap_bytes() >> 32
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    le64(bytes, at).swap_bytes()
}
