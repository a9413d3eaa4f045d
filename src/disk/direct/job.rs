//! One file system to write.

use camino::{Utf8Path, Utf8PathBuf};

use super::tree;
use crate::disk::layout::{FileSystem, Layout};
use crate::event::Events;

/// One file system to write.
pub(super) struct Job<'a> {
    pub layout: &'a Layout,
    pub filesystem: &'a FileSystem,
    /// The file that it is written into: the disk's image, or what becomes the inside of a container.
    pub image: &'a Utf8Path,
    /// Its first byte there.
    pub start: u64,
    /// Bytes per sector of its device.
    pub sector: u32,
    pub tree: &'a Utf8Path,
    pub time: Option<i64>,
    pub events: &'a Events,
}

impl Job<'_> {
    /// Where its content is on the host.
    pub fn content(&self) -> Option<Utf8PathBuf> {
        path(self.filesystem).map(|point| tree::inside(self.tree, point))
    }

    /// The folders below its content that other file systems fill, parents first.
    pub fn others(&self) -> Vec<Utf8PathBuf> {
        path(self.filesystem).map_or_else(Vec::new, |point| self.others_below(point))
    }

    /// The folders below the mount point `own` that other mounts show, parents first.
    pub fn others_below(&self, own: &str) -> Vec<Utf8PathBuf> {
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
fn path(filesystem: &FileSystem) -> Option<&str> {
    filesystem.mount_point.as_deref().filter(|point| point.starts_with('/'))
}
