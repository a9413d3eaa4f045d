//! Writes a disk image without loop device, mount of a built file system or device-mapper.
//!
//! In: a [`Layout`], a finished tree. Out: a sparse raw image: partition table, volumes and containers, file systems filled from the
//! tree; in the tree, `/etc/veritytab` when the running system opens verified file systems. What the machine's tools are too old for,
//! its kernel fills, mounted inside the builder (`by_kernel`). Nothing is synced; that is for whoever renames the artifact. Not here:
//! boot code (`boot/`).

mod btrfs;
mod by_kernel;
mod crc32c;
mod erofs_label;
mod error;
mod ext;
mod ext_times;
mod fat;
mod fit;
mod gpt;
mod job;
mod luks;
mod lvm;
mod machine;
mod mbr;
mod pieces;
mod read_only;
mod space;
mod swap;
mod thin;
mod tree;
mod verity;
mod version;
mod way;
mod xfs;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};

use camino::{Utf8Path, Utf8PathBuf};

use super::layout::{Device, Disk, FileSystem, Layout, Table, Verity, VolumeKind};
use super::veritytab;
use crate::event::Events;
pub use error::DiskError;
use job::Job;
pub use machine::{check, host_tools, ways};
use space::{Piece, Spaces};
pub(super) use tree::{inside, make_mount_point};

/// What images are filled from.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// The finished tree. It gets an `/etc/veritytab` when the layout has something for it, and is only read otherwise.
    pub tree: &'a Utf8Path,
    /// Seconds since the epoch; replaces every later time and the present.
    pub time: Option<i64>,
    /// The secrets that open containers, by their identifiers.
    pub secrets: &'a BTreeMap<String, Vec<u8>>,
    /// Who is told.
    pub events: &'a Events,
}

/// What is known of an image only when it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The root hash of each dm-verity device, by its name: lower-case hexadecimal.
    pub root_hashes: BTreeMap<String, String>,
}

/// Writes disks of `layout` to new files: pairs of a disk's name and its image. What lies on several disks is whole when all of them
/// are written. Files beside an image, with its name and something behind it, exist meanwhile.
///
/// # Errors
/// When something is of an unknown type, the content does not fit, a secret is missing, or the machine refuses something.
pub fn write(layout: &Layout, images: &[(String, Utf8PathBuf)], content: &Content<'_>) -> Result<Written, DiskError> {
    let disk = |name: &String| layout.disk(name).ok_or_else(|| DiskError::NoDisk { disk: name.clone() });
    check(layout)?;
    let open = |(name, path): &(String, Utf8PathBuf)| {
        Ok(space::Image { disk: name.clone(), path: path.clone(), file: partition(disk(name)?, path)? })
    };
    let images = images.iter().map(open).collect::<Result<Vec<_>, DiskError>>()?;
    // Folders of mount points are in the tree of the file system around them, as DIB makes them.
    for mounted in layout.mounts().iter().filter(|mounted| mounted.point.starts_with('/')) {
        tree::make_mount_point(content.tree, mounted.point)?;
    }
    let mut spaces = Spaces::new(layout, images)?;
    // What the tree has to name by its root hash is finished before the tree is written.
    let is_named = |verity: &Verity| veritytab::names(layout, verity);
    let (first, rest): (Vec<_>, Vec<_>) =
        layout.filesystems.iter().partition(|filesystem| layout.verity_of(&filesystem.device).is_some_and(is_named));
    for filesystem in first {
        write_filesystem(layout, filesystem, &spaces, content)?;
    }
    let mut root_hashes = write_hashes(layout, &spaces, is_named)?;
    let lines = veritytab::text(layout, &root_hashes);
    if !lines.is_empty() {
        tree::put(content.tree, "/etc", "veritytab", &lines)?;
    }
    for filesystem in rest {
        write_filesystem(layout, filesystem, &spaces, content)?;
    }
    write_thin_pools(layout, &spaces, content)?;
    root_hashes.extend(write_hashes(layout, &spaces, |verity| !is_named(verity))?);
    let written = Written { root_hashes };
    write_volume_groups(layout, &spaces, content)?;
    for container in space::from_the_inside(layout) {
        let Some((to, file)) = single(layout, &container.device, &spaces) else { continue };
        let Some((inside, plain)) = spaces.file(&space::Space::Inside(container.name.clone())) else { continue };
        let secret = content
            .secrets
            .get(&container.secret)
            .ok_or_else(|| DiskError::NoSecret { node: container.name.clone(), secret: container.secret.clone() })?;
        luks::write(container, secret, plain, file, to.start).map_err(DiskError::io("encrypt", inside))?;
        spaces.close(&container.name);
    }
    Ok(written)
}

/// Makes the new file `image`, as large as `disk`, with its partition table and nothing else. The open file.
///
/// # Errors
/// When the machine refuses to write it.
pub fn partition(disk: &Disk, image: &Utf8Path) -> Result<File, DiskError> {
    let mut file = pieces::create(image, disk.size)?;
    match disk.table {
        Some(Table::Gpt { guid }) => gpt::write(disk, guid, &mut file, image)?,
        Some(Table::Mbr { disk_id, dib_strict }) => mbr::write(disk, disk_id, dib_strict, &file, image)?,
        None => {}
    }
    Ok(file)
}

/// Writes a file system into its place, when any of that is on a disk that is written.
fn write_filesystem(
    layout: &Layout,
    filesystem: &FileSystem,
    spaces: &Spaces,
    content: &Content<'_>,
) -> Result<(), DiskError> {
    let pieces = space::locate(layout, &filesystem.device).unwrap_or_default();
    if !spaces.have(&pieces) {
        return Ok(());
    }
    let write_to = |image: &Utf8Path, file: &File, start| write_at(layout, filesystem, image, file, start, content);
    if let [Piece { space, start, .. }] = pieces.as_slice()
        && let Some((image, file)) = spaces.file(space)
    {
        return write_to(image, file, *start);
    }
    // In several pieces: whole at first.
    let whole = spaces.temporary("volume", filesystem.size)?;
    write_to(&whole.path, &whole.file, 0)?;
    spaces.spread(&whole.path, &pieces)
}

/// Writes a file system from the byte `start` of `file`, which is at `image`.
fn write_at(
    layout: &Layout,
    filesystem: &FileSystem,
    image: &Utf8Path,
    file: &File,
    start: u64,
    content: &Content<'_>,
) -> Result<(), DiskError> {
    let sector = space::sector(layout, &filesystem.device);
    let Content { tree, time, events, .. } = *content;
    fill(&Job { layout, filesystem, image, start, sector, tree, time, events }, file)
}

/// Writes the thin pools on these disks with the file systems of their volumes.
fn write_thin_pools(layout: &Layout, spaces: &Spaces, content: &Content<'_>) -> Result<(), DiskError> {
    for group in &layout.volume_groups {
        for pool in &group.volumes {
            let VolumeKind::ThinPool { data, .. } = &pool.kind else { continue };
            if !spaces.have(&space::extents(layout, group, &data.segments).unwrap_or_default()) {
                continue;
            }
            let mut volumes = Vec::new();
            for volume in &group.volumes {
                let VolumeKind::Thin { pool: of, device_id } = &volume.kind else { continue };
                if *of == pool.name {
                    let whole = spaces.temporary(&format!("{}.thin", volume.name), volume.size)?;
                    let device = Device::Volume { group: group.name.clone(), volume: volume.name.clone() };
                    for filesystem in layout.filesystems.iter().filter(|filesystem| filesystem.device == device) {
                        write_at(layout, filesystem, &whole.path, &whole.file, 0, content)?;
                    }
                    volumes.push(thin::Thin { id: *device_id, whole, size: volume.size });
                }
            }
            thin::write(layout, group, pool, &volumes, spaces, content.events)?;
        }
    }
    Ok(())
}

fn fill(job: &Job<'_>, file: &File) -> Result<(), DiskError> {
    match job.filesystem.kind.as_str() {
        "ext2" | "ext3" | "ext4" => ext::write(job, file),
        "vfat" | "fat" => fat::write(job, file),
        "xfs" => xfs::write(job),
        "btrfs" => btrfs::write(job),
        "squashfs" | "erofs" => read_only::write(job),
        _ => swap::write(job, file),
    }
}

/// Writes the trees of hashes of those that are on these disks; the root hashes by name.
fn write_hashes(
    layout: &Layout,
    spaces: &Spaces,
    those: impl Fn(&Verity) -> bool,
) -> Result<BTreeMap<String, String>, DiskError> {
    let mut roots = BTreeMap::new();
    for verity in layout.verity.iter().filter(|verity| those(verity)) {
        let (data, hash) = (single(layout, &verity.data, spaces), single(layout, &verity.hash, spaces));
        let (Some((data, from)), Some((hash, to))) = (data, hash) else { continue };
        let root = verity::write(verity, (from, data.start), (to, hash.start)).map_err(|source| DiskError::Format {
            node: verity.name.clone(),
            what: "dm-verity's hashes",
            source,
        })?;
        roots.insert(verity.name.clone(), root);
    }
    Ok(roots)
}

/// Writes label and metadata of every physical volume on these disks.
fn write_volume_groups(layout: &Layout, spaces: &Spaces, content: &Content<'_>) -> Result<(), DiskError> {
    for group in &layout.volume_groups {
        for volume in &group.physical_volumes {
            let Some((piece, file)) = single(layout, &volume.device, spaces) else { continue };
            let time = content.time.unwrap_or(0);
            lvm::write(group, volume, time, file, piece.start).map_err(|source| DiskError::Format {
                node: volume.name.clone(),
                what: "LVM's metadata",
                source,
            })?;
        }
    }
    Ok(())
}

/// The one piece that `device` is, and its file, when that is on one of these disks.
fn single<'a>(layout: &Layout, device: &Device, spaces: &'a Spaces) -> Option<(Piece, &'a File)> {
    let mut pieces = space::locate(layout, device)?;
    let last = pieces.pop().filter(|_| pieces.is_empty())?;
    let (_, file) = spaces.file(&last.space)?;
    Some((last, file))
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
    fat::write(&Job { layout, filesystem, image, start, sector, tree, time, events }, &file)
}

#[cfg(test)]
mod read_back;
#[cfg(test)]
mod tests;
