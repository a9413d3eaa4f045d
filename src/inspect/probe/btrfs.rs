//! Btrfs.

use super::{label, le64, uuid};
use crate::inspect::report::Filesystem;
use crate::inspect::{InspectError, Window};

/// Where the first superblock is.
const SUPERBLOCK: u64 = 64 << 10;

/// Reads the superblock.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    let block = window.bytes::<1024>(SUPERBLOCK)?;
    if block[64..72] != *b"_BHRfS_M" {
        return Ok(None);
    }
    Ok(Some(Filesystem {
        kind: "btrfs",
        label: label(&block[299..555]),
        uuid: uuid(&block[32..48]),
        size: Some(le64(&block, 112)),
        used: Some(le64(&block, 120)),
    }))
}
