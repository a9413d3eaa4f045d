//! Names in /dev/mapper: containers, logical volumes and verified devices share them.

use std::collections::HashMap;

use super::error::LayoutError;
use crate::disk::layout::{Device, Layout};

/// Refuses two devices of one name.
pub(super) fn check(layout: &Layout) -> Result<(), LayoutError> {
    let containers = layout.luks.iter().map(|luks| (luks.name.as_str(), luks.name.clone()));
    let volumes = layout.volume_groups.iter().flat_map(|group| {
        let path =
            |volume: &str| layout.mapper_path(&Device::Volume { group: group.name.clone(), volume: volume.to_owned() });
        group.volumes.iter().filter_map(move |volume| Some((volume.name.as_str(), path(&volume.name)?)))
    });
    let verified = layout
        .verity
        .iter()
        .map(|verity| (verity.name.as_str(), layout.verified_name(verity).unwrap_or(&verity.name).to_owned()));
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (node, path) in containers.chain(volumes).chain(verified) {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        if let Some(other) = seen.insert(name.clone(), node) {
            let (node, other) = (node.to_owned(), other.to_owned());
            return Err(LayoutError::SameMapperName { node, name, other });
        }
    }
    Ok(())
}
