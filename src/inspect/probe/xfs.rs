//! XFS.

use super::{be32, be64, label, uuid};
use crate::inspect::report::Filesystem;
use crate::inspect::{InspectError, Window};

/// Reads the superblock.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    let block = window.bytes::<256>(0)?;
    if !block.starts_with(b"XFSB") {
        return Ok(None);
    }
    let (size, blocks, free) = (be32(&block, 4), be64(&block, 8), be64(&block, 144));
    Ok(Some(Filesystem {
        kind: "xfs",
        label: label(&block[108..120]),
        uuid: uuid(&block[32..48]),
        size: Some(blocks.saturating_mul(size)),
        used: Some(blocks.saturating_sub(free).saturating_mul(size)),
    }))
}
