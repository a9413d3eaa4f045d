//! Writes a disk image without loop device, mount of a built file system or device-mapper.
//!
//! In: a [`Layout`], a finished tree. Out: a sparse raw image: partition table, file systems filled from the tree. Nothing is
//! synced; that is for whoever renames the artifact. Not here: boot code (`boot/`).

mod error;
mod ext;
mod ext_times;
mod fat;
mod gpt;
mod mbr;
mod swap;
mod tree;

use std::fs::{File, OpenOptions};

use camino::Utf8Path;

use super::layout::{Disk, FileSystem, Layout, Table};
use crate::event::Events;
pub use error::DiskError;
pub(super) use tree::{inside, make_mount_point};

/// The file systems that this version can write, for messages.
const SUPPORTED: &str = "ext2, ext3, ext4, vfat, swap";

/// Writes the image of the disk named `disk` of `layout` to the new file `image`, filled from `tree`. `time` (seconds since
/// the epoch) replaces every later time and the present.
///
/// # Errors
/// When a file system has an unknown type, the content does not fit, or the machine refuses something.
pub fn write(
    layout: &Layout,
    disk: &str,
    tree: &Utf8Path,
    image: &Utf8Path,
    time: Option<i64>,
    events: &Events,
) -> Result<(), DiskError> {
    let disk = layout.disk(disk).ok_or_else(|| DiskError::NoDisk { disk: disk.to_owned() })?;
    check(layout)?;
    let mut file = create(disk, image)?;
    match disk.table {
        Some(Table::Gpt { guid }) => gpt::write(disk, guid, &mut file, image)?,
        Some(Table::Mbr { disk_id, dib_strict }) => mbr::write(disk, disk_id, dib_strict, &file, image)?,
        None => {}
    }
    // Folders of mount points are in the tree of the file system around them, as DIB makes them.
    for filesystem in &layout.filesystems {
        if let Some(point) = path(filesystem) {
            tree::make_mount_point(tree, point)?;
        }
    }
    for filesystem in layout.filesystems.iter().filter(|filesystem| filesystem.disk == disk.name) {
        let job = Job { layout, filesystem, tree, image, time, events };
        match filesystem.kind.as_str() {
            "ext2" | "ext3" | "ext4" => ext::write(&job, &file)?,
            "vfat" | "fat" => fat::write(&job, &file)?,
            _ => swap::write(filesystem, &file, image)?,
        }
    }
    Ok(())
}

/// Writes one FAT file system of the image of its disk once more, filled from `tree`; the rest of the image stays.
///
/// # Errors
/// As [`write()`].
pub(super) fn rewrite_fat(
    layout: &Layout,
    filesystem: &FileSystem,
    tree: &Utf8Path,
    image: &Utf8Path,
    time: Option<i64>,
    events: &Events,
) -> Result<(), DiskError> {
    let file = OpenOptions::new().read(true).write(true).open(image).map_err(DiskError::io("open", image))?;
    fat::empty(filesystem, &file).map_err(DiskError::io("make room in", image))?;
    fat::write(&Job { layout, filesystem, tree, image, time, events }, &file)
}

/// The programs that [`write()`] needs for `layout`, each with the Debian package that has it.
pub fn host_tools(layout: &Layout) -> Vec<(&'static str, &'static str)> {
    let ext = layout.filesystems.iter().any(|filesystem| filesystem.kind.starts_with("ext"));
    if ext { vec![("mke2fs", "e2fsprogs")] } else { Vec::new() }
}

/// Refuses what cannot be written, before anything slow.
///
/// # Errors
/// When a file system's type is not one this version writes.
pub fn check(layout: &Layout) -> Result<(), DiskError> {
    let known = |kind: &str| SUPPORTED.split(", ").any(|name| name == kind) || kind == "fat";
    match layout.filesystems.iter().find(|filesystem| !known(&filesystem.kind)) {
        Some(FileSystem { name, kind, .. }) => {
            Err(DiskError::Unsupported { node: name.clone(), kind: kind.clone(), supported: SUPPORTED })
        }
        None => Ok(()),
    }
}

/// One file system to write.
struct Job<'a> {
    layout: &'a Layout,
    filesystem: &'a FileSystem,
    tree: &'a Utf8Path,
    image: &'a Utf8Path,
    time: Option<i64>,
    events: &'a Events,
}

impl Job<'_> {
    /// Where its content is on the host.
    fn content(&self) -> Option<camino::Utf8PathBuf> {
        path(self.filesystem).map(|point| tree::inside(self.tree, point))
    }

    /// The folders below its content that other file systems fill, parents first.
    fn others(&self) -> Vec<camino::Utf8PathBuf> {
        let Some(own) = path(self.filesystem) else { return Vec::new() };
        let below = |point: &str| own == "/" || point.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'));
        let points = self.layout.filesystems.iter().filter_map(path).filter(|point| *point != own && below(point));
        let mut folders: Vec<&str> = Vec::new();
        for point in points {
            // /boot hides /boot/efi as well.
            if !folders.iter().any(|above| point.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))) {
                folders.push(point);
            }
        }
        folders.into_iter().map(|point| tree::inside(self.tree, point)).collect()
    }
}

/// Where it is mounted, unless it is swap.
pub(super) fn path(filesystem: &FileSystem) -> Option<&str> {
    filesystem.mount_point.as_deref().filter(|point| point.starts_with('/'))
}

fn create(disk: &Disk, image: &Utf8Path) -> Result<File, DiskError> {
    let open = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(image)?;
        file.set_len(disk.size)?;
        Ok(file)
    };
    open().map_err(DiskError::io("create", image))
}

#[cfg(test)]
mod tests;
