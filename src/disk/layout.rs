//! The solved block-device description: every partition, volume and file system with its offset and size.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A solved description. Offsets and sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The disks, the primary one (`image0`) first.
    pub disks: Vec<Disk>,
    /// The file systems in the order in which they are mounted, those without a mount point last.
    pub filesystems: Vec<FileSystem>,
}

/// One disk image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Its node's name: `image0`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Bytes per sector: 512 or 4096.
    pub sector_size: u32,
    /// Its partition table; `None` when a file system fills the disk.
    pub table: Option<Table>,
    /// Its partitions in the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// A partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Table {
    /// DOS partition table.
    Mbr {
        /// The 32-bit disk signature at offset 440.
        disk_id: u32,
        /// Its table is DIB's byte for byte, also where nobody else would write it so.
        #[serde(default)]
        dib_strict: bool,
    },
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt {
        /// The disk's GUID.
        guid: Uuid,
    },
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// Its node's name, and its GPT label.
    pub name: String,
    /// First byte on the disk.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its type.
    pub kind: PartitionKind,
    /// The MBR's active flag.
    pub boot: bool,
    /// GPT's unique partition GUID.
    pub guid: Option<Uuid>,
}

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionKind {
    /// The type byte of a DOS table.
    Mbr(u8),
    /// The type GUID of a GPT.
    Gpt(Uuid),
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Its node's name: `mkfs_root`.
    pub name: String,
    /// The disk it is on.
    pub disk: String,
    /// The number of its partition; `None` when it fills the disk.
    pub partition: Option<u32>,
    /// First byte on the disk.
    pub start: u64,
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
    /// Where it is mounted.
    pub mount_point: Option<String>,
    /// Its line in /etc/fstab.
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

impl Layout {
    /// The file system mounted at `mount_point`.
    pub fn at(&self, mount_point: &str) -> Option<&FileSystem> {
        self.filesystems.iter().find(|filesystem| filesystem.mount_point.as_deref() == Some(mount_point))
    }

    /// The disk named `name`.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }
}
