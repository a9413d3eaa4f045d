//! Builds containers and volume groups over partitions, from the disks upwards.
//!
//! In: a description and a layout with its disks. Out: the layout with all that is on them, and which device each name of the
//! description is. Not here: file systems (`filesystems`).

use std::collections::HashMap;

use super::error::LayoutError;
use super::identity::Identity;
use super::{encryption, volumes};
use crate::disk::config::Config;
use crate::disk::layout::{Device, Layout};

/// The device of every name in the description that can carry something.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<String, Device>);

impl Devices {
    pub fn get(&self, name: &str) -> Option<&Device> {
        self.0.get(name)
    }

    /// As [`Self::get`], for a user `node` that cannot be without.
    pub fn need(&self, node: &str, base: &str) -> Result<&Device, LayoutError> {
        self.get(base).ok_or_else(|| LayoutError::NoBase { node: node.to_owned(), base: base.to_owned() })
    }
}

/// Adds containers, groups and verified devices to `layout`, each list in an order in which every device comes after what it is
/// on. The order of the description's nodes does not matter.
pub(super) fn place(config: &Config, layout: &mut Layout, identity: &Identity) -> Result<Devices, LayoutError> {
    let mut devices = partitions(config, layout);
    let mut containers: Vec<_> = config.luks.iter().collect();
    containers.sort_by_key(|node| &node.name);
    let mut groups: Vec<_> =
        config.lvm.iter().flat_map(|lvm| lvm.volume_groups.iter().map(move |vg| (lvm, vg))).collect();
    groups.sort_by_key(|(_, group)| &group.name);
    // Each round places what stands on what is placed already.
    while !containers.is_empty() || !groups.is_empty() {
        let (ready, waiting): (Vec<_>, _) = containers.into_iter().partition(|node| devices.get(&node.base).is_some());
        containers = waiting;
        let is_ready = |(lvm, group): &(&crate::disk::config::Lvm, &crate::disk::config::VolumeGroup)| {
            let mut physical = lvm.physical_volumes.iter().filter(|node| group.base.contains(&node.name));
            physical.all(|node| devices.get(&node.base).is_some())
        };
        let (ready_groups, waiting): (Vec<_>, _) = groups.into_iter().partition(is_ready);
        groups = waiting;
        if ready.is_empty() && ready_groups.is_empty() {
            let name = containers.first().map(|node| (&node.name, &node.base));
            let name = name.or_else(|| groups.first().map(|(_, group)| (&group.name, &group.base[0])));
            let (node, base) = name.map(|(node, base)| (node.clone(), base.clone())).unwrap_or_default();
            return Err(LayoutError::NoBase { node, base });
        }
        for node in ready {
            let container = encryption::luks(node, devices.need(&node.name, &node.base)?, layout, identity)?;
            let device = Device::Luks { container: container.name.clone() };
            devices.0.insert(node.name.clone(), device);
            layout.luks.push(container);
        }
        for (lvm, group) in ready_groups {
            let group = volumes::group(lvm, group, &devices, layout, identity)?;
            for volume in &group.volumes {
                let device = Device::Volume { group: group.name.clone(), volume: volume.name.clone() };
                devices.0.insert(volume.name.clone(), device);
            }
            layout.volume_groups.push(group);
        }
    }
    let mut verified: Vec<_> = config.verity.iter().collect();
    verified.sort_by_key(|node| &node.name);
    for node in verified {
        let verity = encryption::verity(node, &devices, layout, identity)?;
        layout.verity.push(verity);
    }
    Ok(devices)
}

/// The disks and partitions by name.
fn partitions(config: &Config, layout: &Layout) -> Devices {
    let mut devices = Devices::default();
    for disk in &layout.disks {
        devices.0.insert(disk.name.clone(), Device::Disk { disk: disk.name.clone() });
        // Only what the description names: the extended partition of an MBR carries nothing.
        let names: Vec<_> = config.tables.iter().filter(|table| table.base == disk.name).collect();
        let named = |name: &str| names.iter().any(|table| table.partitions.iter().any(|found| found.name == name));
        for partition in disk.partitions.iter().filter(|partition| !partition.is_extended() && named(&partition.name)) {
            let device = Device::Partition { disk: disk.name.clone(), number: partition.number };
            devices.0.insert(partition.name.clone(), device);
        }
    }
    devices
}
