//! File systems, and where they are mounted.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Device;

/// A file system, or swap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Its node's name: `mkfs_root`.
    pub name: String,
    /// What it fills.
    pub device: Device,
    /// Size in bytes.
    pub size: u64,
    /// `ext4`, `vfat`, `swap`, …
    pub kind: String,
    /// Its label.
    pub label: String,
    /// Its identifier; of a FAT file system only the first 32 bits are used, as its volume id.
    pub uuid: Uuid,
    /// More words for its mkfs.
    pub options: Vec<String>,
    /// Its subvolumes; of btrfs only.
    #[serde(default)]
    pub subvolumes: Vec<Subvolume>,
    /// Where it is mounted; `none` for swap.
    pub mount_point: Option<String>,
    /// Its line in /etc/fstab.
    pub fstab: Option<FstabEntry>,
}

/// A subvolume of a btrfs file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subvolume {
    /// Its path from the top of the file system, without a slash in front: `@home`.
    pub name: String,
    /// Where it is mounted.
    pub mount_point: Option<String>,
    /// Its line in /etc/fstab; the options are without `subvol=`.
    pub fstab: Option<FstabEntry>,
}

/// The last three fields of a line in /etc/fstab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FstabEntry {
    /// Mount options.
    pub options: String,
    /// For dump(8).
    pub dump_freq: u32,
    /// Order of checks at boot.
    pub fsck_passno: u32,
}

/// One mount of a file system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mounted<'a> {
    /// The mount point; `none` for swap.
    pub point: &'a str,
    /// What is mounted.
    pub filesystem: &'a FileSystem,
    /// Which subvolume of it; `None` for its top.
    pub subvolume: Option<&'a Subvolume>,
    /// Its line in /etc/fstab.
    pub fstab: Option<&'a FstabEntry>,
}

impl FileSystem {
    /// Whether nobody can ever write to it.
    pub fn is_read_only(&self) -> bool {
        matches!(self.kind.as_str(), "squashfs" | "erofs")
    }

    /// Where it and its subvolumes are mounted.
    pub fn mounts(&self) -> impl Iterator<Item = Mounted<'_>> {
        let own = self.mount_point.as_deref().map(|point| Mounted {
            point,
            filesystem: self,
            subvolume: None,
            fstab: self.fstab.as_ref(),
        });
        let below = self.subvolumes.iter().filter_map(|subvolume| {
            let point = subvolume.mount_point.as_deref()?;
            Some(Mounted { point, filesystem: self, subvolume: Some(subvolume), fstab: subvolume.fstab.as_ref() })
        });
        own.into_iter().chain(below)
    }
}
