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
    let file = partition(disk, image)?;
    // Folders of mount points are in the tree of the file system around them, as DIB makes them.
    for mounted in layout.mounts().iter().filter(|mounted| mounted.point.starts_with('/')) {
        tree::make_mount_point(tree, mounted.point)?;
    }
    for filesystem in &layout.filesystems {
        let Some(region) = layout.region(&filesystem.device).filter(|region| region.disk == disk.name) else {
            continue;
        };
        let job = Job { layout, filesystem, start: region.start, sector: disk.sector_size, tree, image, time, events };
        match filesystem.kind.as_str() {
            "ext2" | "ext3" | "ext4" => ext::write(&job, &file)?,
            "vfat" | "fat" => fat::write(&job, &file)?,
            _ => swap::write(&job, &file)?,
        }
    }
    Ok(())
}

/// Makes the new file `image`, as large as `disk`, with its partition table and nothing else. The open file.
///
/// # Errors
/// When the machine refuses to write it.
pub fn partition(disk: &Disk, image: &Utf8Path) -> Result<File, DiskError> {
    let mut file = create(disk, image)?;
    match disk.table {
        Some(Table::Gpt { guid }) => gpt::write(disk, guid, &mut file, image)?,
        Some(Table::Mbr { disk_id }) => mbr::write(disk, disk_id, &file, image)?,
        None => {}
    }
    Ok(file)
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
    let region = layout.region(&filesystem.device);
    let (Some(region), Some(disk)) = (region, layout.disk_of(&filesystem.device)) else {
        return Err(DiskError::NoDisk { disk: filesystem.device.to_string() });
    };
    fat::empty(&region, &file).map_err(DiskError::io("make room in", image))?;
    let (start, sector) = (region.start, disk.sector_size);
    fat::write(&Job { layout, filesystem, start, sector, tree, image, time, events }, &file)
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
    let containers = layout.luks.iter().map(|luks| (&luks.name, "LUKS"));
    let groups = layout.volume_groups.iter().map(|group| (&group.name, "LVM"));
    let verified = layout.verity.iter().map(|verity| (&verity.name, "dm-verity"));
    let divided = layout.filesystems.iter().filter(|filesystem| !filesystem.subvolumes.is_empty());
    let divided = divided.map(|filesystem| (&filesystem.name, "subvolumes"));
    if let Some((node, what)) = containers.chain(groups).chain(verified).chain(divided).next() {
        return Err(DiskError::UnsupportedDevice { node: node.clone(), what });
    }
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
    /// Its first byte in the image.
    start: u64,
    /// Bytes per sector of its disk.
    sector: u32,
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
        let mounts = self.layout.mounts();
        let points = mounts.iter().map(|mounted| mounted.point);
        let points = points.filter(|point| point.starts_with('/') && *point != own && below(point));
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
mod read_back;
#[cfg(test)]
mod tests;
