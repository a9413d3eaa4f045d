//! A layout as JSON for programs. All sizes and offsets are bytes; devices are called by their names in the description.

use serde::Serialize;
use uuid::Uuid;

use crate::disk::fstab;
use crate::disk::layout::{self, Device, Layout, PartitionKind, VolumeKind, lvm_identifier};

#[derive(Serialize)]
struct Whole {
    disks: Vec<Disk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    luks: Vec<Luks>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volume_groups: Vec<VolumeGroup>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verity: Vec<Verity>,
    filesystems: Vec<FileSystem>,
    fstab: String,
}

#[derive(Serialize)]
struct Disk {
    name: String,
    size: u64,
    sector_size: u32,
    /// `mbr`, `gpt`, or null.
    table: Option<&'static str>,
    /// The MBR's signature, or the GPT's GUID.
    id: Option<String>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    number: u32,
    name: String,
    start: u64,
    size: u64,
    /// `0x83` of an MBR, the GUID of a GPT.
    #[serde(rename = "type")]
    kind: String,
    boot: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "is_zero")]
    attributes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hybrid: Option<String>,
}

#[derive(Serialize)]
struct Luks {
    name: String,
    device: String,
    size: u64,
    header: u64,
    cipher: String,
    key_bits: u32,
    sector_size: u32,
    secret: String,
    label: String,
    uuid: Uuid,
}

#[derive(Serialize)]
struct VolumeGroup {
    name: String,
    uuid: String,
    extent_size: u64,
    physical_volumes: Vec<PhysicalVolume>,
    volumes: Vec<Volume>,
}

#[derive(Serialize)]
struct PhysicalVolume {
    name: String,
    device: String,
    uuid: String,
    size: u64,
    data_start: u64,
    extents: u64,
}

#[derive(Serialize)]
struct Volume {
    name: String,
    uuid: String,
    size: u64,
    /// `linear`, `thin-pool`, `thin`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<layout::Segment>,
}

#[derive(Serialize)]
struct Verity {
    name: String,
    data: String,
    hash: String,
    algorithm: String,
    salt: String,
    data_block_size: u32,
    hash_block_size: u32,
    data_blocks: u64,
    hash_size: u64,
    uuid: Uuid,
}

#[derive(Serialize)]
struct FileSystem {
    name: String,
    device: String,
    #[serde(rename = "type")]
    kind: String,
    label: String,
    uuid: Uuid,
    mount_point: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subvolumes: Vec<Subvolume>,
}

#[derive(Serialize)]
struct Subvolume {
    name: String,
    mount_point: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The JSON, indented, with a line end.
///
/// # Errors
/// None that are known: all of it is texts and numbers.
pub fn json(layout: &Layout) -> Result<String, serde_json::Error> {
    let name = |device: &Device| layout.name_of(device);
    let whole = Whole {
        disks: layout.disks.iter().map(disk).collect(),
        luks: layout.luks.iter().map(|luks| self::luks(luks, name(&luks.device))).collect(),
        volume_groups: layout.volume_groups.iter().map(|group| self::group(layout, group)).collect(),
        verity: layout.verity.iter().map(|verity| self::verity(layout, verity)).collect(),
        filesystems: layout.filesystems.iter().map(|found| filesystem(found, name(&found.device))).collect(),
        fstab: fstab::text(layout),
    };
    serde_json::to_string_pretty(&whole).map(|text| text + "\n")
}

fn disk(disk: &layout::Disk) -> Disk {
    let (table, id) = match disk.table {
        Some(layout::Table::Mbr { disk_id }) => (Some("mbr"), Some(format!("0x{disk_id:08x}"))),
        Some(layout::Table::Gpt { guid }) => (Some("gpt"), Some(guid.to_string())),
        None => (None, None),
    };
    let partition = |partition: &layout::Partition| Partition {
        number: partition.number,
        name: partition.name.clone(),
        start: partition.start,
        size: partition.size,
        kind: match partition.kind {
            PartitionKind::Mbr(byte) => format!("0x{byte:02x}"),
            PartitionKind::Gpt(guid) => guid.to_string(),
        },
        boot: partition.boot,
        label: partition.label.clone(),
        uuid: partition.guid,
        attributes: partition.attributes,
        hybrid: partition.hybrid.map(|byte| format!("0x{byte:02x}")),
    };
    let partitions = disk.partitions.iter().map(partition).collect();
    Disk { name: disk.name.clone(), size: disk.size, sector_size: disk.sector_size, table, id, partitions }
}

fn luks(luks: &layout::Luks, device: String) -> Luks {
    Luks {
        name: luks.name.clone(),
        device,
        size: luks.size,
        header: luks.header,
        cipher: luks.cipher.clone(),
        key_bits: luks.key_bits,
        sector_size: luks.sector_size,
        secret: luks.secret.clone(),
        label: luks.label.clone(),
        uuid: luks.uuid,
    }
}

fn group(layout: &Layout, group: &layout::VolumeGroup) -> VolumeGroup {
    let physical = |volume: &layout::PhysicalVolume| PhysicalVolume {
        name: volume.name.clone(),
        device: layout.name_of(&volume.device),
        uuid: lvm_identifier(volume.uuid),
        size: volume.size,
        data_start: volume.data_start,
        extents: volume.extents,
    };
    let logical = |volume: &layout::LogicalVolume| {
        let (kind, pool, segments) = match &volume.kind {
            VolumeKind::Linear { segments } => ("linear", None, segments.clone()),
            VolumeKind::ThinPool { data, .. } => ("thin-pool", None, data.segments.clone()),
            VolumeKind::Thin { pool, .. } => ("thin", Some(pool.clone()), Vec::new()),
        };
        let uuid = lvm_identifier(volume.uuid);
        Volume { name: volume.name.clone(), uuid, size: volume.size, kind, pool, segments }
    };
    VolumeGroup {
        name: group.name.clone(),
        uuid: lvm_identifier(group.uuid),
        extent_size: group.extent_size,
        physical_volumes: group.physical_volumes.iter().map(physical).collect(),
        volumes: group.volumes.iter().map(logical).collect(),
    }
}

fn verity(layout: &Layout, verity: &layout::Verity) -> Verity {
    Verity {
        name: verity.name.clone(),
        data: layout.name_of(&verity.data),
        hash: layout.name_of(&verity.hash),
        algorithm: verity.algorithm.clone(),
        salt: verity.salt.clone(),
        data_block_size: verity.data_block_size,
        hash_block_size: verity.hash_block_size,
        data_blocks: verity.data_blocks,
        hash_size: verity.hash_size,
        uuid: verity.uuid,
    }
}

fn filesystem(filesystem: &layout::FileSystem, device: String) -> FileSystem {
    let subvolume = |subvolume: &layout::Subvolume| Subvolume {
        name: subvolume.name.clone(),
        mount_point: subvolume.mount_point.clone(),
    };
    FileSystem {
        name: filesystem.name.clone(),
        device,
        kind: filesystem.kind.clone(),
        label: filesystem.label.clone(),
        uuid: filesystem.uuid,
        mount_point: filesystem.mount_point.clone(),
        size: filesystem.size,
        subvolumes: filesystem.subvolumes.iter().map(subvolume).collect(),
    }
}
