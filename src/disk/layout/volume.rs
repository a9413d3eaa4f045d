//! LVM: groups, their physical volumes, and the logical volumes made of their extents.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Device;

/// A volume group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its identifier; LVM writes it as [`lvm_identifier`] does.
    pub uuid: Uuid,
    /// Bytes per extent: a power of two.
    pub extent_size: u64,
    /// The devices that it is made of.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Its volumes in the order of the description.
    pub volumes: Vec<LogicalVolume>,
    /// Where a damaged thin pool's metadata would be repaired: LVM keeps as much free as its largest pool needs. `None`
    /// without thin pools.
    pub spare: Option<HiddenVolume>,
}

/// A physical volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    /// Its node's name; LVM itself knows it as `pv0`, `pv1`, …, and by its identifier.
    pub name: String,
    /// What it fills.
    pub device: Device,
    /// Its identifier.
    pub uuid: Uuid,
    /// Bytes of the device.
    pub size: u64,
    /// Bytes before the first extent: label and metadata.
    pub data_start: u64,
    /// Extents that it has.
    pub extents: u64,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// Bytes; a thin volume's are what it promises.
    pub size: u64,
    /// What it is.
    pub kind: VolumeKind,
}

/// Kinds of logical volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum VolumeKind {
    /// Runs of extents.
    Linear {
        /// The runs in its order.
        segments: Vec<Segment>,
    },
    /// What thin volumes take their space from.
    ThinPool {
        /// The blocks: `NAME_tdata`.
        data: HiddenVolume,
        /// Which block belongs to whom: `NAME_tmeta`.
        metadata: HiddenVolume,
        /// Bytes per block of the pool.
        chunk_size: u64,
    },
    /// A volume that takes space from a pool when it is written to.
    Thin {
        /// The pool's name, in the same group.
        pool: String,
        /// Its number in the pool, from 1.
        device_id: u32,
    },
}

/// A volume that LVM keeps for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HiddenVolume {
    /// Its identifier.
    pub uuid: Uuid,
    /// Bytes.
    pub size: u64,
    /// The runs in its order.
    pub segments: Vec<Segment>,
}

/// A run of extents of a physical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The physical volume's name.
    pub physical_volume: String,
    /// Number of its first extent, from 0.
    pub first: u64,
    /// Extents.
    pub count: u64,
}

/// `uuid` as LVM writes identifiers: 32 letters and digits in groups of 6, 4, 4, 4, 4, 4 and 6.
pub fn lvm_identifier(uuid: Uuid) -> String {
    let text = uuid.simple().to_string();
    let mut from = 0;
    let groups = [6, 4, 4, 4, 4, 4, 6].map(|length| {
        from += length;
        &text[from - length..from]
    });
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_lvms_form() {
        let uuid = uuid::uuid!("850c575b-ed61-43b5-b81a-6a543090ba3c");
        assert_eq!(lvm_identifier(uuid), "850c57-5bed-6143-b5b8-1a6a-5430-90ba3c");
    }
}
