//! LVM in a description: physical volumes, groups, logical volumes.

use serde::{Deserialize, Serialize};

/// A node `lvm`. One description may have several; names of groups are unique among all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lvm {
    /// Its name.
    pub name: String,
    /// `pvs`.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// `vgs`.
    pub volume_groups: Vec<VolumeGroup>,
    /// `lvs`.
    pub volumes: Vec<LogicalVolume>,
}

/// A physical volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    /// Its name.
    pub name: String,
    /// The partition, disk or container that it fills.
    pub base: String,
    /// Bytes before its first extent.
    pub data_start: u64,
}

/// A volume group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its physical volumes.
    pub base: Vec<String>,
    /// Bytes per extent: a power of two.
    pub extent_size: u64,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// Its name.
    pub name: String,
    /// Its group.
    pub base: String,
    /// Its size.
    pub size: VolumeSize,
    /// What it is.
    pub kind: VolumeKind,
}

/// How large a logical volume is. Shares are whole per cent, as for lvcreate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeSize {
    /// `size`.
    Bytes(u64),
    /// `extents: 25`.
    Extents(u64),
    /// `extents: 57%VG`: of the whole group.
    OfGroup(u32),
    /// `extents: 100%FREE`: of what is free at that moment.
    OfFree(u32),
    /// `extents: 50%PVS`: of the physical volumes, which are the group's.
    OfPhysicalVolumes(u32),
}

/// Kinds of logical volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum VolumeKind {
    /// Extents of its own.
    Linear,
    /// Space for thin volumes.
    ThinPool {
        /// Bytes per block.
        chunk_size: Option<u64>,
        /// Bytes for the pool's metadata.
        metadata_size: Option<u64>,
    },
    /// Takes its space from a pool of the same group.
    Thin {
        /// The pool's name.
        pool: String,
    },
}
