//! What can hold a file system, and where that lies.

use serde::{Deserialize, Serialize};

use super::{Disk, Layout, Partition, PhysicalVolume, Segment, VolumeGroup, VolumeKind};

/// Something that holds data: a file system, a container, a physical volume. It refers to a part of its layout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "kebab-case")]
pub enum Device {
    /// A whole disk, without a partition table.
    Disk {
        /// The disk's name.
        disk: String,
    },
    /// A partition.
    Partition {
        /// The disk's name.
        disk: String,
        /// The partition's number, from 1.
        number: u32,
    },
    /// A logical volume.
    Volume {
        /// Its group's name.
        group: String,
        /// Its own.
        volume: String,
    },
    /// The inside of a LUKS container.
    Luks {
        /// The container's name.
        container: String,
    },
}

/// A run of bytes on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The disk's name.
    pub disk: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Layout {
    /// Where the bytes of `device` are on the disks, in its order and joined where they touch. `None` when they are nowhere as
    /// they are: inside a container or a thin volume.
    pub fn regions(&self, device: &Device) -> Option<Vec<Region>> {
        match device {
            Device::Disk { disk } => {
                let size = self.disk(disk)?.size;
                Some(vec![Region { disk: disk.clone(), start: 0, size }])
            }
            Device::Partition { disk, .. } => {
                let Partition { start, size, .. } = *self.partition_of(device)?;
                Some(vec![Region { disk: disk.clone(), start, size }])
            }
            Device::Volume { group, volume } => {
                let (group, volume) = self.volume(group, volume)?;
                match &volume.kind {
                    VolumeKind::Linear { segments } => self.segments(group, segments),
                    VolumeKind::ThinPool { .. } | VolumeKind::Thin { .. } => None,
                }
            }
            Device::Luks { .. } => None,
        }
    }

    /// The one run of bytes that `device` is; `None` also when it is several.
    pub fn region(&self, device: &Device) -> Option<Region> {
        let mut regions = self.regions(device)?;
        let last = regions.pop()?;
        regions.is_empty().then_some(last)
    }

    /// Where extents of `group` are on the disks; `None` when one of its physical volumes is encrypted.
    pub fn segments(&self, group: &VolumeGroup, segments: &[Segment]) -> Option<Vec<Region>> {
        let mut regions: Vec<Region> = Vec::new();
        for segment in segments {
            let volume = group.physical_volumes.iter().find(|volume| volume.name == segment.physical_volume)?;
            let below = self.regions(&volume.device)?;
            let [below] = below.as_slice() else { return None };
            let start = below.start + volume.data_start + segment.first * group.extent_size;
            let size = segment.count * group.extent_size;
            match regions.last_mut() {
                Some(last) if last.disk == below.disk && last.start + last.size == start => last.size += size,
                _ => regions.push(Region { disk: below.disk.clone(), start, size }),
            }
        }
        Some(regions)
    }

    /// Bytes of `device`.
    pub fn size_of(&self, device: &Device) -> Option<u64> {
        match device {
            Device::Disk { disk } => self.disk(disk).map(|disk| disk.size),
            Device::Partition { .. } => self.partition_of(device).map(|partition| partition.size),
            Device::Volume { group, volume } => self.volume(group, volume).map(|(_, volume)| volume.size),
            Device::Luks { container } => self.container(container).map(|luks| luks.size),
        }
    }

    /// What `device` lies on: nothing for a disk, all physical volumes for a logical one.
    pub fn below(&self, device: &Device) -> Vec<&Device> {
        match device {
            Device::Disk { .. } | Device::Partition { .. } => Vec::new(),
            Device::Volume { group, .. } => self
                .volume_group(group)
                .map(|group| group.physical_volumes.iter().map(|PhysicalVolume { device, .. }| device).collect())
                .unwrap_or_default(),
            Device::Luks { container } => self.container(container).map(|luks| &luks.device).into_iter().collect(),
        }
    }

    /// The disk that `device` is on; of a group with several physical volumes the first one's.
    pub fn disk_of(&self, device: &Device) -> Option<&Disk> {
        match device {
            Device::Disk { disk } | Device::Partition { disk, .. } => self.disk(disk),
            // `solve` lets no device lie on itself.
            _ => self.disk_of(self.below(device).first()?),
        }
    }

    /// The partition that `device` is; of a volume or a container the one it lies in, when it lies in one.
    pub fn partition_of(&self, device: &Device) -> Option<&Partition> {
        match device {
            Device::Disk { .. } => None,
            Device::Partition { disk, number } => {
                self.disk(disk)?.partitions.iter().find(|partition| partition.number == *number)
            }
            _ => self.partition_of(self.below(device).first()?),
        }
    }

    /// Where the running system has `device`, when it has a name that does not depend on the machine: `/dev/mapper/…`.
    /// Device-mapper's own escaping: a hyphen in a name is doubled.
    pub fn mapper_path(&self, device: &Device) -> Option<String> {
        match device {
            Device::Disk { .. } | Device::Partition { .. } => None,
            Device::Volume { group, volume } => {
                let escaped = |name: &str| name.replace('-', "--");
                Some(format!("/dev/mapper/{}-{}", escaped(group), escaped(volume)))
            }
            Device::Luks { container } => Some(format!("/dev/mapper/{container}")),
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk { disk } => f.write_str(disk),
            Self::Partition { disk, number } => write!(f, "{disk} partition {number}"),
            Self::Volume { group, volume } => write!(f, "{group}/{volume}"),
            Self::Luks { container } => write!(f, "{container} (encrypted)"),
        }
    }
}
