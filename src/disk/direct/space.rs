//! Where the bytes of a device go.
//!
//! In: a device of the layout. Out: pieces of spaces. A space is a disk's image, or the inside of an encrypted container, which is a
//! file of its own until it is encrypted into its place. Pure, but for the files of containers. Not here: what is written.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};

use camino::{Utf8Path, Utf8PathBuf};

use super::DiskError;
use super::pieces::{self, Temporary};
use crate::disk::layout::{Device, Layout, Luks, Segment, VolumeGroup, VolumeKind};

/// Something with bytes from 0 on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    /// The disk of this name.
    Disk(String),
    /// The inside of the container of this name.
    Inside(String),
}

/// A run of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub space: Space,
    pub start: u64,
    pub size: u64,
}

/// Where the bytes of `device` go, in order; pieces that touch are one. `None` for a thin volume and for what the layout lacks.
pub(super) fn locate(layout: &Layout, device: &Device) -> Option<Vec<Piece>> {
    match device {
        Device::Disk { disk } => {
            Some(vec![Piece { space: Space::Disk(disk.clone()), start: 0, size: layout.disk(disk)?.size }])
        }
        Device::Partition { disk, .. } => {
            let partition = layout.partition_of(device)?;
            Some(vec![Piece { space: Space::Disk(disk.clone()), start: partition.start, size: partition.size }])
        }
        Device::Luks { container } => {
            let size = layout.container(container)?.size;
            Some(vec![Piece { space: Space::Inside(container.clone()), start: 0, size }])
        }
        Device::Volume { group, volume } => {
            let (group, volume) = layout.volume(group, volume)?;
            match &volume.kind {
                VolumeKind::Linear { segments } => extents(layout, group, segments),
                VolumeKind::ThinPool { .. } | VolumeKind::Thin { .. } => None,
            }
        }
    }
}

/// Where runs of extents of `group` are.
pub(super) fn extents(layout: &Layout, group: &VolumeGroup, segments: &[Segment]) -> Option<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for segment in segments {
        let volume = group.physical_volumes.iter().find(|volume| volume.name == segment.physical_volume)?;
        let [below] = &locate(layout, &volume.device)?[..] else { return None };
        let start = below.start + volume.data_start + segment.first * group.extent_size;
        let size = segment.count * group.extent_size;
        match pieces.last_mut() {
            Some(last) if last.space == below.space && last.start + last.size == start => last.size += size,
            _ => pieces.push(Piece { space: below.space.clone(), start, size }),
        }
    }
    Some(pieces)
}

/// Bytes per sector of what is on `device`.
pub(super) fn sector(layout: &Layout, device: &Device) -> u32 {
    match device {
        Device::Luks { container } => layout.container(container).map_or(512, |luks| luks.sector_size),
        Device::Volume { group, .. } => {
            let volumes = layout.volume_group(group).map_or(&[][..], |group| &group.physical_volumes);
            volumes.iter().map(|volume| sector(layout, &volume.device)).max().unwrap_or(512)
        }
        _ => layout.disk_of(device).map_or(512, |disk| disk.sector_size),
    }
}

/// The containers, the innermost first.
pub(super) fn from_the_inside(layout: &Layout) -> Vec<&Luks> {
    fn depth(layout: &Layout, device: &Device) -> usize {
        layout.below(device).into_iter().map(|below| depth(layout, below) + 1).max().unwrap_or(0)
    }
    let mut containers: Vec<&Luks> = layout.luks.iter().collect();
    containers.sort_by_key(|container| std::cmp::Reverse(depth(layout, &container.device)));
    containers
}

/// The open image of a disk.
pub(super) struct Image {
    pub disk: String,
    pub path: Utf8PathBuf,
    pub file: File,
}

/// The files of the spaces of the disks that are written.
pub(super) struct Spaces {
    images: Vec<Image>,
    insides: BTreeMap<String, Temporary>,
}

impl Spaces {
    /// The disks with these images, and a new empty file for every container on them.
    pub fn new(layout: &Layout, images: Vec<Image>) -> Result<Self, DiskError> {
        let mut insides = BTreeMap::new();
        for container in &layout.luks {
            let on = layout.disk_of(&container.device);
            if let Some(image) = images.iter().find(|image| on.is_some_and(|disk| disk.name == image.disk)) {
                let what = format!("{}.inside", container.name);
                insides.insert(container.name.clone(), Temporary::new(&image.path, &what, container.size)?);
            }
        }
        Ok(Self { images, insides })
    }

    /// A new file of `size` bytes, all of them a hole, for what is made on the way.
    pub fn temporary(&self, what: &str, size: u64) -> Result<Temporary, DiskError> {
        let beside = self.images.first().map(|image| image.path.as_path()).unwrap_or(Utf8Path::new("image"));
        Temporary::new(beside, what, size)
    }

    /// The path and the file of a space; `None` when it is on a disk that is not written.
    pub fn file(&self, space: &Space) -> Option<(&Utf8Path, &File)> {
        match space {
            Space::Disk(disk) => {
                let image = self.images.iter().find(|image| image.disk == *disk)?;
                Some((image.path.as_path(), &image.file))
            }
            Space::Inside(container) => self.insides.get(container).map(|inside| (inside.path.as_path(), &inside.file)),
        }
    }

    /// Whether any of `pieces` is on a disk that is written.
    pub fn have(&self, pieces: &[Piece]) -> bool {
        pieces.iter().any(|piece| self.file(&piece.space).is_some())
    }

    /// Copies the file at `from` to `pieces`, one after the other.
    pub fn spread(&self, from: &Utf8Path, pieces: &[Piece]) -> Result<(), DiskError> {
        let file = OpenOptions::new().read(true).open(from).map_err(DiskError::io("open", from))?;
        let mut at = 0;
        for piece in pieces {
            if let Some((path, to)) = self.file(&piece.space) {
                pieces::copy(&file, at, to, piece.start, piece.size).map_err(DiskError::io("write into", path))?;
            }
            at += piece.size;
        }
        Ok(())
    }

    /// Ends with the file of a container's inside.
    pub fn close(&mut self, container: &str) {
        self.insides.remove(container);
    }
}
