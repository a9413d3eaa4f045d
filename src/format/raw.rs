//! The disk byte for byte, sparse.
//!
//! In: a raw image. Out: a copy that shares its blocks where the file system can, and has holes where it reads as zeros
//! otherwise; or the image itself when it already is where it should be.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use camino::Utf8Path;

use super::FormatError;
use super::sparse::{Extents, is_zero};
use crate::event::{Events, Unit};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Bytes that become a hole when they are all zero.
const BLOCK: usize = 4096;

/// Makes `to` the same disk as `from`. Does nothing when they are one file.
pub fn write(from: &Utf8Path, to: &Utf8Path, events: &Events) -> Result<(), FormatError> {
    let source = File::open(from).map_err(FormatError::io("read", from))?;
    let facts = source.metadata().map_err(FormatError::io("read", from))?;
    if let Ok(target) = std::fs::metadata(to)
        && (target.dev(), target.ino()) == (facts.dev(), facts.ino())
    {
        return Ok(());
    }
    let target = File::create(to).map_err(FormatError::io("create", to))?;
    // Shares the blocks on XFS and Btrfs; everywhere else it fails at once.
    if rustix::fs::ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    let size = facts.len();
    target.set_len(size).map_err(FormatError::io("write", to))?;
    let mut buffer = vec![0; CHUNK];
    for extent in Extents::new(&source, size) {
        let extent = extent.map_err(FormatError::io("read", from))?;
        let mut at = extent.start;
        while at < extent.end {
            // Chunks end on multiples of their size, so that blocks are judged at the same places whatever the extents.
            let length = (CHUNK as u64 - at % CHUNK as u64).min(extent.end - at) as usize;
            let chunk = &mut buffer[..length];
            source.read_exact_at(chunk, at).map_err(FormatError::io("read", from))?;
            write_data(&target, chunk, at).map_err(FormatError::io("write", to))?;
            at += length as u64;
            events.progress("raw", at, size, Unit::Bytes);
        }
    }
    events.progress("raw", size, size, Unit::Bytes);
    Ok(())
}

/// Writes the runs of `chunk` that are not zero.
fn write_data(target: &File, chunk: &[u8], at: u64) -> std::io::Result<()> {
    let mut run: Option<usize> = None;
    for (index, block) in chunk.chunks(BLOCK).enumerate() {
        match (is_zero(block), run) {
            (true, Some(start)) => {
                target.write_all_at(&chunk[start..index * BLOCK], at + start as u64)?;
                run = None;
            }
            (false, None) => run = Some(index * BLOCK),
            _ => {}
        }
    }
    if let Some(start) = run {
        target.write_all_at(&chunk[start..], at + start as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_holes_where_there_were_zeros() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let mut bytes = vec![0_u8; 5 << 20];
        bytes[3_000_000..3_000_100].fill(9);
        bytes.extend([1, 2, 3]);
        std::fs::write(root.join("a"), &bytes).unwrap();
        write(&root.join("a"), &root.join("b"), &Events::none()).unwrap();
        assert!(std::fs::read(root.join("b")).unwrap() == bytes);
        assert!(std::fs::metadata(root.join("b")).unwrap().blocks() * 512 < 100_000);
    }

    #[test]
    fn an_image_already_in_place_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("a");
        std::fs::write(&path, "disk").unwrap();
        write(&path, &path, &Events::none()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "disk");
    }
}
