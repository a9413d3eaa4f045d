//! What is on a disk, read without mounting it and without root.
//!
//! In: a disk image of any format that kiln reads. Out: a [`Report`] of its partitions and file systems, and the files of those that
//! can be read (ext2 to ext4, FAT). Nothing is written; damage is an error, never a panic, and takes bounded memory. Not here: the
//! formats of images (`format::reader`), how a report looks.

mod cache;
mod error;
mod ext;
mod fat;
mod files;
mod fstab;
mod gpt;
mod mbr;
pub mod probe;
mod report;
mod window;

use std::sync::Arc;

use crate::format::reader::Disk;

pub use error::InspectError;
pub use files::{Entry, Files, Kind};
pub use fstab::place;
pub use report::{Filesystem, Partition, Report, Table, report};
pub use window::Window;

/// `disk`, with a cache of what was read lately.
pub fn cached(disk: Box<dyn Disk>) -> Arc<dyn Disk> {
    Arc::new(cache::Cached::new(disk))
}

#[cfg(test)]
mod tests;
