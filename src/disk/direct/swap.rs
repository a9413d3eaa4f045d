//! Swap areas: the kernel's header, version 1 (`union swap_header` of its `linux/swap.h`).

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{DiskError, Job};

/// The page of every architecture that kiln builds for.
const PAGE: u64 = 4096;
/// The kernel refuses areas of fewer pages.
const PAGES: u64 = 10;

/// Writes the header: version, last page, UUID and label at 1024, the magic at the end of the first page.
pub(super) fn write(job: &Job<'_>, file: &File) -> Result<(), DiskError> {
    let filesystem = job.filesystem;
    let pages = filesystem.size / PAGE;
    if pages < PAGES {
        let why = format!("swap needs at least {} KiB", PAGES * PAGE / 1024);
        return Err(DiskError::Shape { node: filesystem.name.clone(), why });
    }
    let last = u32::try_from(pages - 1).unwrap_or(u32::MAX);
    let mut page = [0; PAGE as usize];
    page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&last.to_le_bytes());
    page[1036..1052].copy_from_slice(filesystem.uuid.as_bytes());
    let label = filesystem.label.as_bytes();
    let length = label.len().min(16);
    page[1052..1052 + length].copy_from_slice(&label[..length]);
    page[PAGE as usize - 10..].copy_from_slice(b"SWAPSPACE2");
    file.write_all_at(&page, job.start).map_err(DiskError::io("write swap to", job.image))
}
