//! Physical volumes, groups, logical volumes.

use super::keys::{absolute, base, choice, required};
use super::lvm_options::{self, Options};
use crate::disk::config::flatten::Node;
use crate::disk::config::{LogicalVolume, Lvm, PhysicalVolume, VolumeGroup, VolumeKind, VolumeSize};
use crate::disk::yaml::{Kind, Place, Problem, Value};

const MIB: u64 = 1 << 20;
/// LVM's default extent.
const EXTENT: u64 = 4 * MIB;
/// LVM's default for the place of the first extent, and for what it is a multiple of.
const DATA_START: u64 = MIB;
/// Bytes of a physical volume before its metadata.
const LABEL: u64 = 4096;
/// LVM makes no smaller area for metadata.
const METADATA: u64 = 32 << 10;
/// DIB rounds the sizes of logical volumes down to this.
const STEP: u64 = 4 * MIB;

/// Which kind of volume the key `type` names.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Linear,
    Thin,
    Pool,
}

pub(super) fn lvm(node: &Node<'_>) -> Result<Lvm, Problem> {
    let mut lvm = Lvm { name: node.name.clone(), ..Lvm::default() };
    for entry in &node.entries {
        match entry.kind {
            "pv" => lvm.physical_volumes.push(physical_volume(entry)?),
            "vg" => lvm.volume_groups.push(volume_group(entry)?),
            _ => lvm.volumes.push(logical_volume(entry)?),
        }
    }
    Ok(lvm)
}

fn physical_volume(node: &Node<'_>) -> Result<PhysicalVolume, Problem> {
    let options = lvm_options::read(node, "pvcreate", &lvm_options::PHYSICAL_VOLUME)?;
    let alignment = match options.size("dataalignment") {
        None => DATA_START,
        Some((0, place)) => return Err(node.problem("dataalignment: 0 is no alignment", place)),
        Some((bytes, _)) => bytes,
    };
    // What pvcreate 2.03 does: the metadata come behind the label, the first extent at the next multiple behind them.
    let metadata = options.size("metadatasize").map_or(DATA_START - LABEL, |(bytes, _)| bytes);
    let data_start = LABEL.saturating_add(metadata).checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    if data_start - LABEL < METADATA {
        let text = "metadatasize: LVM's metadata need at least 32 KiB before the first extent";
        return Err(node.problem(text, &node.place));
    }
    Ok(PhysicalVolume {
        name: node.name.clone(),
        base: base(node, "partition, luks container or local_loop")?,
        data_start,
    })
}

fn volume_group(node: &Node<'_>) -> Result<VolumeGroup, Problem> {
    lvm_name(node)?;
    let options = lvm_options::read(node, "vgcreate", &lvm_options::VOLUME_GROUP)?;
    let extent_size = match absolute(node, "extent_size")? {
        Some(bytes) => bytes,
        None => options.size("physicalextentsize").map_or(EXTENT, |(bytes, _)| bytes),
    };
    if !extent_size.is_power_of_two() || !(128 * 1024..=1 << 34).contains(&extent_size) {
        let text = "the size of extents must be a power of two from 128KiB to 16GiB, as in `4MiB`";
        return Err(node.problem(text, &node.place));
    }
    Ok(VolumeGroup { name: node.name.clone(), base: bases(node)?, extent_size })
}

/// The names of a group's physical volumes: a list, or a single one.
fn bases(node: &Node<'_>) -> Result<Vec<String>, Problem> {
    let hint = "the list of the group's physical volumes, as in `[pv]`";
    let names: Vec<(&String, &Place)> = match node.get("base") {
        Some(Value { kind: Kind::Scalar(name), place }) => vec![(name, place)],
        Some(Value { kind: Kind::List(items), .. }) if !items.is_empty() => {
            let name = |item: &'_ Value| match &item.kind {
                Kind::Scalar(_) => Ok(()),
                _ => Err(node.problem(&format!("`base` must be {hint}"), &item.place)),
            };
            items.iter().try_for_each(name)?;
            items
                .iter()
                .filter_map(|item| if let Kind::Scalar(name) = &item.kind { Some((name, &item.place)) } else { None })
                .collect()
        }
        Some(other) => return Err(node.problem(&format!("`base` must be {hint}"), &other.place)),
        None => return Err(node.problem(&format!("`base` is missing: {hint}"), &node.place)),
    };
    let mut found: Vec<String> = Vec::new();
    for (name, place) in names {
        if found.contains(name) {
            return Err(node.problem(&format!("`{name}` is in `base` twice"), place));
        }
        found.push(name.clone());
    }
    Ok(found)
}

fn logical_volume(node: &Node<'_>) -> Result<LogicalVolume, Problem> {
    lvm_name(node)?;
    let options = lvm_options::read(node, "lvcreate", &lvm_options::LOGICAL_VOLUME)?;
    let types = [("linear", Type::Linear), ("thin", Type::Thin), ("thin-pool", Type::Pool)];
    let kind = choice(node, "type", &types)?;
    let pool = node.text("thin-pool")?;
    let kind = match (kind, pool) {
        (Type::Thin, Some((pool, _))) => VolumeKind::Thin { pool: pool.to_owned() },
        (Type::Thin, None) => {
            return Err(
                node.problem("`thin-pool` is missing: the name of the pool it takes its space from", &node.place)
            );
        }
        (_, Some((_, place))) => {
            return Err(node.problem("`thin-pool` is for volumes of `type: thin` only", place));
        }
        (Type::Pool, None) => pool_kind(node, &options)?,
        (Type::Linear, None) => VolumeKind::Linear,
    };
    Ok(LogicalVolume { name: node.name.clone(), base: base(node, "volume group")?, size: size(node, &kind)?, kind })
}

fn pool_kind(node: &Node<'_>, options: &Options<'_>) -> Result<VolumeKind, Problem> {
    let chunk = options.size("chunksize");
    if let Some((bytes, place)) = chunk
        && (!bytes.is_multiple_of(64 * 1024) || !(64 * 1024..=1 << 30).contains(&bytes))
    {
        return Err(node.problem("chunksize must be a multiple of 64 KiB, from 64 KiB to 1 GiB", place));
    }
    let metadata = options.size("poolmetadatasize");
    if let Some((bytes, place)) = metadata
        && !(2 * MIB..=16 << 30).contains(&bytes)
    {
        return Err(node.problem("poolmetadatasize must be from 2 MiB to 16 GiB", place));
    }
    Ok(VolumeKind::ThinPool {
        chunk_size: chunk.map(|(bytes, _)| bytes),
        metadata_size: metadata.map(|(bytes, _)| bytes),
    })
}

/// `size` wins over `extents`, as in DIB.
fn size(node: &Node<'_>, kind: &VolumeKind) -> Result<VolumeSize, Problem> {
    if let Some(bytes) = absolute(node, "size")? {
        let (_, place) = required(node, "size", "a size")?;
        return match bytes / STEP * STEP {
            0 => Err(node.problem("size: a logical volume has at least 4 MiB; smaller parts are cut off", place)),
            whole => Ok(VolumeSize::Bytes(whole)),
        };
    }
    let hint =
        "write a size as in `size: 2GiB`, or extents as in `extents: 20%VG`, `extents: 100%FREE`, `extents: 512`";
    let Some((text, place)) = node.text("extents")? else {
        return Err(node.problem(&format!("`size` or `extents` is missing: {hint}"), &node.place));
    };
    if matches!(kind, VolumeKind::Thin { .. }) {
        let text =
            "extents: a thin volume has no extents of its own; write the size that it promises, as in `size: 2GiB`";
        return Err(node.problem(text, place));
    }
    let wrong = |why: &str| node.problem(&format!("extents: `{text}` {why}; {hint}"), place);
    let (number, of) = text.split_once('%').map_or((text, None), |(number, of)| (number, Some(of)));
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits).ok_or_else(|| wrong("is not a number of extents"))?;
    let Some(of) = of else {
        return if number > 0 { Ok(VolumeSize::Extents(number)) } else { Err(wrong("is nothing")) };
    };
    let share = u32::try_from(number).ok().filter(|share| (1..=100).contains(share));
    let share = share.ok_or_else(|| wrong("is not 1 to 100 per cent"))?;
    match of.to_ascii_uppercase().as_str() {
        "VG" => Ok(VolumeSize::OfGroup(share)),
        "FREE" => Ok(VolumeSize::OfFree(share)),
        "PVS" => Ok(VolumeSize::OfPhysicalVolumes(share)),
        "ORIGIN" => Err(wrong("is for snapshots, and there are none in an image")),
        _ => Err(wrong("is not a share of VG, FREE or PVS")),
    }
}

/// What LVM takes as the name of a group or a volume (lvm(8), "Valid names").
fn lvm_name(node: &Node<'_>) -> Result<(), Problem> {
    let name = node.name.as_str();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "+_.-".contains(c));
    if !plain || name.starts_with('-') || name.len() > 127 || [".", ".."].contains(&name) {
        let text = "LVM's names are of letters, digits and any of +_.-, without `-` in front, at most 127";
        return Err(node.problem(text, &node.place));
    }
    const RESERVED: [&str; 8] = ["_cdata", "_cmeta", "_corig", "_mimage", "_mlog", "_tdata", "_tmeta", "_pmspare"];
    if node.kind == "lv"
        && (RESERVED.iter().any(|word| name.contains(word))
            || ["snapshot", "pvmove"].iter().any(|word| name.starts_with(word)))
    {
        return Err(node.problem("LVM keeps such names for volumes of its own; choose another", &node.place));
    }
    Ok(())
}
