//! A layout for people and programs: a table, a drawing, JSON.
//!
//! In: a [`Layout`]. Out: texts. One file a form; this one says what is on a device, in the words that all of them use. Pure. Not
//! here: printing.

mod drawing;
mod json;
mod table;

use super::config::gpt_code;
use super::layout::{Device, FileSystem, Layout, Partition, PartitionKind};
pub use drawing::draw;
pub use json::json;
pub use table::table;

/// What is on a device.
enum Content<'a> {
    FileSystem(&'a FileSystem),
    /// A container, by name.
    Luks(&'a str),
    /// A physical volume of the group of this name.
    PhysicalVolume(&'a str),
    /// The hashes of the verified device of this name.
    Hashes(&'a str),
    Nothing,
}

impl<'a> Content<'a> {
    fn of(layout: &'a Layout, device: &Device) -> Self {
        if let Some(filesystem) = layout.filesystems.iter().find(|filesystem| filesystem.device == *device) {
            return Self::FileSystem(filesystem);
        }
        if let Some(luks) = layout.luks.iter().find(|luks| luks.device == *device) {
            return Self::Luks(&luks.name);
        }
        let holds = |group: &&super::layout::VolumeGroup| group.physical_volumes.iter().any(|pv| pv.device == *device);
        if let Some(group) = layout.volume_groups.iter().find(holds) {
            return Self::PhysicalVolume(&group.name);
        }
        match layout.verity.iter().find(|verity| verity.hash == *device) {
            Some(verity) => Self::Hashes(&verity.name),
            None => Self::Nothing,
        }
    }

    /// In a few words: `ext4`, `luks root`.
    fn words(&self) -> String {
        match self {
            Self::FileSystem(filesystem) => filesystem.kind.clone(),
            Self::Luks(name) => format!("luks {name}"),
            Self::PhysicalVolume(group) => format!("lvm {group}"),
            Self::Hashes(name) => format!("hashes of {name}"),
            Self::Nothing => String::new(),
        }
    }

    /// The label of a file system.
    fn label(&self) -> &'a str {
        if let Self::FileSystem(filesystem) = self { &filesystem.label } else { "" }
    }

    /// Where a file system itself is mounted.
    fn point(&self) -> &'a str {
        if let Self::FileSystem(filesystem) = self { filesystem.mount_point.as_deref().unwrap_or_default() } else { "" }
    }
}

/// The type of a partition: sgdisk's code where it has one, the type byte of an MBR.
fn kind(partition: &Partition) -> String {
    match partition.kind {
        PartitionKind::Mbr(byte) => format!("0x{byte:02x}"),
        PartitionKind::Gpt(guid) => gpt_code(guid).map_or_else(|| guid.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests;
