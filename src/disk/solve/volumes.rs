//! Gives every logical volume its extents, as LVM's commands would when they are run in the description's order on an empty group.
//!
//! A share of the group that is more than what is free becomes all that is free, a share is rounded down and a size up to whole
//! extents. A thin pool's metadata and the spare for it take extents of their own.

use super::devices::Devices;
use super::error::LayoutError;
use super::identity::Identity;
use crate::disk::config::{self, Lvm, VolumeSize};
use crate::disk::layout::{
    Device, HiddenVolume, Layout, LogicalVolume, PhysicalVolume, Segment, VolumeGroup, VolumeKind,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes that a pool keeps in its metadata for each of its blocks.
const PER_CHUNK: u64 = 64;
/// The smallest block of a pool, and what it is unless the metadata gets too large.
const CHUNK: u64 = 64 * KIB;
/// Metadata between these: more wants larger blocks.
const METADATA: std::ops::RangeInclusive<u64> = 2 * MIB..=128 * MIB;

pub(super) fn group(
    lvm: &Lvm,
    node: &config::VolumeGroup,
    devices: &Devices,
    layout: &Layout,
    identity: &Identity,
) -> Result<VolumeGroup, LayoutError> {
    let mut physical_volumes = Vec::new();
    for name in &node.base {
        let Some(physical) = lvm.physical_volumes.iter().find(|physical| physical.name == *name) else {
            return Err(LayoutError::NoBase { node: node.name.clone(), base: name.clone() });
        };
        physical_volumes.push(physical_volume(physical, node.extent_size, devices, layout, identity)?);
    }
    let sectors: Vec<u32> = physical_volumes.iter().filter_map(|volume| sector_size(layout, &volume.device)).collect();
    if let Some(second) = sectors.iter().find(|size| **size != sectors[0]) {
        return Err(LayoutError::MixedSectors { group: node.name.clone(), first: sectors[0], second: *second });
    }
    let mut group = VolumeGroup {
        name: node.name.clone(),
        uuid: identity.uuid("volume group", &node.name),
        extent_size: node.extent_size,
        physical_volumes,
        volumes: Vec::new(),
        spare: None,
    };
    let mut extents = Extents::new(&group);
    for volume in lvm.volumes.iter().filter(|volume| volume.base == node.name) {
        let volume = logical_volume(volume, &mut group, &mut extents, identity)?;
        group.volumes.push(volume);
    }
    Ok(group)
}

/// Bytes per sector of a device that a physical volume is on.
fn sector_size(layout: &Layout, device: &Device) -> Option<u32> {
    match device {
        Device::Luks { container } => layout.container(container).map(|luks| luks.sector_size),
        _ => layout.disk_of(device).map(|disk| disk.sector_size),
    }
}

fn physical_volume(
    node: &config::PhysicalVolume,
    extent_size: u64,
    devices: &Devices,
    layout: &Layout,
    identity: &Identity,
) -> Result<PhysicalVolume, LayoutError> {
    let device = devices.need(&node.name, &node.base)?;
    let size = layout.size_of(device).unwrap_or_default();
    let extents = size.saturating_sub(node.data_start) / extent_size;
    if extents == 0 {
        let needed = node.data_start.saturating_add(extent_size);
        return Err(LayoutError::NoRoom { kind: "pv", node: node.name.clone(), size, needed });
    }
    Ok(PhysicalVolume {
        name: node.name.clone(),
        device: device.clone(),
        uuid: identity.uuid("physical volume", &node.name),
        size,
        data_start: node.data_start,
        extents,
    })
}

fn logical_volume(
    node: &config::LogicalVolume,
    group: &mut VolumeGroup,
    extents: &mut Extents,
    identity: &Identity,
) -> Result<LogicalVolume, LayoutError> {
    let count = match node.size {
        VolumeSize::Bytes(bytes) => bytes.div_ceil(group.extent_size),
        VolumeSize::Extents(count) => count,
        VolumeSize::OfGroup(share) | VolumeSize::OfPhysicalVolumes(share) => {
            portion(extents.total, share).min(extents.free())
        }
        VolumeSize::OfFree(share) => portion(extents.free(), share),
    };
    let (count, kind) = match &node.kind {
        config::VolumeKind::Linear => (count, VolumeKind::Linear { segments: take(node, group, extents, count)? }),
        config::VolumeKind::ThinPool { chunk_size, metadata_size } => {
            let sizes = |bytes| pool_sizes(bytes, *chunk_size, *metadata_size);
            pool(node, group, extents, identity, count, sizes)?
        }
        config::VolumeKind::Thin { pool } => {
            let is_earlier =
                |volume: &&LogicalVolume| matches!(&volume.kind, VolumeKind::Thin { pool: other, .. } if other == pool);
            let device_id = group.volumes.iter().filter(is_earlier).count() as u32 + 1;
            (count, VolumeKind::Thin { pool: pool.clone(), device_id })
        }
    };
    let uuid = identity.uuid("logical volume", &format!("{}/{}", group.name, node.name));
    Ok(LogicalVolume { name: node.name.clone(), uuid, size: count.saturating_mul(group.extent_size), kind })
}

/// A pool of `count` extents; of fewer when that was a share, and its metadata and the spare for it need some of them.
fn pool(
    node: &config::LogicalVolume,
    group: &mut VolumeGroup,
    extents: &mut Extents,
    identity: &Identity,
    count: u64,
    sizes: impl Fn(u64) -> (u64, u64),
) -> Result<(u64, VolumeKind), LayoutError> {
    let extent = group.extent_size;
    let metadata_of = |count: u64| sizes(count.saturating_mul(extent)).1.div_ceil(extent);
    let spare = group.spare.as_ref().map_or(0, |spare| spare.size / extent);
    // The group's spare is as large as the largest metadata: it grows by what is missing.
    let more_spare = |metadata: u64| metadata.saturating_sub(spare);
    let is_share = !matches!(node.size, VolumeSize::Bytes(_) | VolumeSize::Extents(_));
    let metadata = metadata_of(count);
    let count = match is_share {
        true => count.min(extents.free().saturating_sub(metadata + more_spare(metadata))),
        false => count,
    };
    // A smaller pool has no more metadata.
    let metadata = metadata_of(count);
    let id = |what: &str| identity.uuid(what, &format!("{}/{}", group.name, node.name));
    let hidden = |uuid, count: u64, segments| HiddenVolume { uuid, size: count * extent, segments };
    let data = hidden(id("pool data"), count, take(node, group, extents, count)?);
    let kept = hidden(id("pool metadata"), metadata, take(node, group, extents, metadata)?);
    if more_spare(metadata) > 0 {
        let more = take(node, group, extents, more_spare(metadata))?;
        let segments = group.spare.take().map(|spare| spare.segments).into_iter().flatten().chain(more).collect();
        group.spare = Some(hidden(identity.uuid("pool spare", &group.name), metadata, segments));
    }
    let chunk_size = sizes(count * extent).0;
    Ok((count, VolumeKind::ThinPool { data, metadata: kept, chunk_size }))
}

/// Takes extents for `node`, at least one.
fn take(
    node: &config::LogicalVolume,
    group: &VolumeGroup,
    extents: &mut Extents,
    count: u64,
) -> Result<Vec<Segment>, LayoutError> {
    let (volume, name, extent) = (node.name.clone(), group.name.clone(), group.extent_size);
    if count == 0 {
        return Err(LayoutError::VolumeEmpty { volume, group: name, extent });
    }
    let free = extents.free();
    extents.take(count).ok_or(LayoutError::VolumeTooLarge {
        volume,
        group: name,
        needed: count.saturating_mul(extent),
        free: free * extent,
    })
}

/// A whole number of per cent, rounded down.
fn portion(extents: u64, share: u32) -> u64 {
    (u128::from(extents) * u128::from(share) / 100) as u64
}

/// Bytes per block and bytes of metadata of a pool of `bytes`.
fn pool_sizes(bytes: u64, chunk: Option<u64>, metadata: Option<u64>) -> (u64, u64) {
    let for_chunk = |chunk: u64| bytes.div_ceil(chunk).saturating_mul(PER_CHUNK).max(*METADATA.start());
    let chunk = chunk.unwrap_or_else(|| {
        let mut chunk = CHUNK;
        while for_chunk(chunk) > *METADATA.end() {
            chunk *= 2;
        }
        chunk
    });
    (chunk, metadata.unwrap_or_else(|| for_chunk(chunk)))
}

/// The free extents of a group: physical volumes in their order, each from its beginning.
struct Extents {
    /// Name, next free extent, extents.
    volumes: Vec<(String, u64, u64)>,
    total: u64,
}

impl Extents {
    fn new(group: &VolumeGroup) -> Self {
        let volumes = group.physical_volumes.iter().map(|volume| (volume.name.clone(), 0, volume.extents)).collect();
        Self { volumes, total: group.physical_volumes.iter().map(|volume| volume.extents).sum() }
    }

    fn free(&self) -> u64 {
        self.volumes.iter().map(|(_, next, extents)| extents - next).sum()
    }

    /// `count` extents; nothing when there are fewer. Those of the first physical volume that has room for all, as LVM would;
    /// else the largest rooms first.
    fn take(&mut self, mut count: u64) -> Option<Vec<Segment>> {
        if count > self.free() {
            return None;
        }
        let room = |(_, next, extents): &(String, u64, u64)| extents - next;
        let mut order: Vec<usize> = match self.volumes.iter().position(|volume| room(volume) >= count) {
            Some(index) => vec![index],
            None => (0..self.volumes.len()).collect(),
        };
        order.sort_by_key(|index| std::cmp::Reverse(room(&self.volumes[*index])));
        let mut segments = Vec::new();
        for index in order {
            let (name, next, extents) = &mut self.volumes[index];
            let taken = count.min(*extents - *next);
            if taken > 0 {
                segments.push(Segment { physical_volume: name.clone(), first: *next, count: taken });
                *next += taken;
                count -= taken;
            }
        }
        Some(segments)
    }
}
