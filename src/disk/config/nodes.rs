//! The nodes of a description: disks, partition tables, file systems, mounts.
//!
//! Names and bases are those of the description, sizes are bytes or shares. Not here: LVM (`volume`), LUKS and verity
//! (`encryption`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disk::layout::{FstabEntry, PartitionKind, Subvolume};
use crate::disk::size::Size;

/// A disk image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalLoop {
    /// Its name; the primary disk is `image0`.
    pub name: String,
    /// Bytes; the request's size when absent.
    pub size: Option<u64>,
    /// Bytes per sector: 512 or 4096.
    pub block_size: u32,
}

/// A partition table on a disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partitioning {
    /// Its name.
    pub name: String,
    /// The disk.
    pub base: String,
    /// Which kind.
    pub label: TableKind,
    /// Bytes to which an MBR's partitions are aligned; a GPT's always are to 1 MiB.
    pub align: u64,
    /// The MBR's signature when the description gives one; never 0.
    pub disk_id: Option<u32>,
    /// The GPT's identifier when the description gives one.
    pub guid: Option<Uuid>,
    /// The partitions in the order of their place on the disk.
    pub partitions: Vec<Partition>,
}

/// Kinds of partition tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// DOS.
    Mbr,
    /// GUID.
    Gpt,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Its name in a GPT when the description gives another.
    pub label: Option<String>,
    /// Its size.
    pub size: PartitionSize,
    /// Its type.
    pub kind: PartitionKind,
    /// The active flag of an MBR, or of the hybrid one.
    pub boot: bool,
    /// In an MBR: in the table itself rather than in the extended partition.
    pub primary: bool,
    /// GPT's unique identifier when the description gives one.
    pub guid: Option<Uuid>,
    /// GPT's attributes, as in [`layout::Partition`](crate::disk::layout::Partition::attributes).
    pub attributes: u64,
    /// In a GPT: the type byte of its entry in the hybrid MBR.
    pub hybrid: Option<u8>,
}

/// How large a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionSize {
    /// As written; a share is one of what remains when it is this partition's turn.
    Exactly(Size),
    /// At least `minimum` bytes, and of the space that partitions of exact sizes leave the share that its weight gives it.
    Flexible {
        /// Bytes.
        minimum: u64,
        /// What it counts beside the other flexible ones; 0 keeps it at its minimum.
        weight: u32,
    },
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mkfs {
    /// Its name.
    pub name: String,
    /// The partition, disk, logical volume or container it is made on.
    pub base: String,
    /// `ext4`, `vfat`, …; the request's when absent, which only [`ROOT`](super::ROOT) may leave to it.
    pub kind: Option<String>,
    /// Its label when the description gives one.
    pub label: Option<String>,
    /// Words for its mkfs when the description gives some.
    pub options: Option<Vec<String>>,
    /// Its identifier when the description gives one.
    pub uuid: Option<Uuid>,
    /// Its subvolumes; of btrfs only.
    #[serde(default)]
    pub subvolumes: Vec<Subvolume>,
}

/// A mount point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Its name.
    pub name: String,
    /// The file system.
    pub base: String,
    /// An absolute path, or `none` for swap.
    pub mount_point: String,
}

/// A line in /etc/fstab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fstab {
    /// Its name.
    pub name: String,
    /// The mount.
    pub base: String,
    /// Its last three fields.
    pub entry: FstabEntry,
}
