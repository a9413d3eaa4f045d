//! Disks, their partition tables and partitions.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One disk image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Its node's name: `image0`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Bytes per sector: 512 or 4096.
    pub sector_size: u32,
    /// Its partition table; `None` when something else fills the disk.
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
    /// Its node's name.
    pub name: String,
    /// Its name in a GPT: the node's unless the description gives another. An MBR has none.
    pub label: String,
    /// First byte on the disk.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its type.
    pub kind: PartitionKind,
    /// The MBR's active flag; in a GPT that of its entry in the hybrid MBR.
    pub boot: bool,
    /// GPT's unique partition GUID.
    pub guid: Option<Uuid>,
    /// GPT's attributes (UEFI specification, table 5.8): bit 0 required, 2 legacy BIOS bootable, 48 to 63 its type's own.
    pub attributes: u64,
    /// The type byte of its entry in a hybrid MBR; `None` without one.
    pub hybrid: Option<u8>,
}

impl Partition {
    /// Whether it only holds the logical partitions of an MBR.
    pub fn is_extended(&self) -> bool {
        self.kind == PartitionKind::Mbr(EXTENDED)
    }
}

/// Type of an extended partition with LBA addressing.
pub(in crate::disk) const EXTENDED: u8 = 0x0f;

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionKind {
    /// The type byte of a DOS table.
    Mbr(u8),
    /// The type GUID of a GPT.
    Gpt(Uuid),
}
