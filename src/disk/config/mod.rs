//! Reads DIB's block-device descriptions.
//!
//! In: YAML in tree or graph form. Out: a [`Config`], flat and checked: names, labels and mount points
//! are unique, every base exists and fits. Pure. Not here: sizes and offsets (`solve`).

mod check;
mod encryption;
mod error;
mod flatten;
mod gpt_type;
mod label;
mod nodes;
mod read;
mod volume;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::{FstabEntry, Subvolume};
pub use encryption::{Luks, Verity};
pub use error::{ConfigError, SectorSizeError};
pub use gpt_type::code as gpt_code;
pub use label::{LabelError, check as check_label};
pub use nodes::{Fstab, LocalLoop, Mkfs, Mount, Partition, PartitionSize, Partitioning, TableKind};
pub use volume::{LogicalVolume, Lvm, PhysicalVolume, VolumeGroup, VolumeKind, VolumeSize};

/// The node whose type, label and options the request may give: DIB knows it by this name.
pub const ROOT: &str = "mkfs_root";

/// The description that DIB falls back to: a file system fills the disk, without a partition table.
pub const DEFAULT: &str = "\
- local_loop:
    name: image0
    mkfs:
      name: mkfs_root
      mount:
        mount_point: /
        fstab:
          options: defaults
          fsck-passno: 1
";

/// A block-device description. Within each list the order is DIB's: as written, nested nodes before the node around them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The disks.
    pub loops: Vec<LocalLoop>,
    /// The partition tables.
    pub tables: Vec<Partitioning>,
    /// The containers.
    #[serde(default)]
    pub luks: Vec<Luks>,
    /// The nodes of LVM.
    #[serde(default)]
    pub lvm: Vec<Lvm>,
    /// What is verified.
    #[serde(default)]
    pub verity: Vec<Verity>,
    /// The file systems.
    pub filesystems: Vec<Mkfs>,
    /// Where they are mounted.
    pub mounts: Vec<Mount>,
    /// Their lines in /etc/fstab.
    pub fstab: Vec<Fstab>,
    /// What the user may want to mend, one line each: keys that mean nothing.
    pub warnings: Vec<String>,
    /// The line of each node that was read from a text, by name.
    #[serde(default)]
    pub lines: BTreeMap<String, usize>,
}

/// Reads the description `text`; `origin` is what a user calls it.
///
/// # Errors
/// With the node's name, its place in `text` and what would be valid.
pub fn parse(text: &str, origin: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    let mut read = || {
        let document = super::yaml::parse(text)?;
        let nodes = flatten::flatten(&document)?;
        for node in &nodes {
            read::add(&mut config, node)?;
            let named = std::iter::once(node).chain(&node.entries);
            config.lines.extend(named.map(|node| (node.name.clone(), node.place.line)));
        }
        check::check(&config, &nodes)
    };
    match read() {
        Ok(()) => Ok(config),
        // What is warned of may be why.
        Err((message, place)) => Err(ConfigError::new(message, place, text, origin, config.warnings)),
    }
}

/// The description that DIB falls back to ([`DEFAULT`]), read.
pub fn default_config() -> Config {
    Config {
        loops: vec![LocalLoop { name: "image0".into(), size: None, block_size: 512 }],
        filesystems: vec![Mkfs {
            name: ROOT.into(),
            base: "image0".into(),
            kind: None,
            label: None,
            options: None,
            uuid: None,
            subvolumes: Vec::new(),
        }],
        mounts: vec![Mount { name: "mount_mkfs_root".into(), base: ROOT.into(), mount_point: "/".into() }],
        fstab: vec![Fstab {
            name: "fstab_mount_mkfs_root".into(),
            base: "mount_mkfs_root".into(),
            entry: FstabEntry { options: "defaults".into(), dump_freq: 0, fsck_passno: 1 },
        }],
        ..Config::default()
    }
}

impl Config {
    /// The names of all partitions.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.tables.iter().flat_map(|table| &table.partitions)
    }

    /// Where the node called `name` is in the text that the user calls `origin`: `origin:LINE`, or `origin` when it has no line.
    pub fn place(&self, origin: &str, name: &str) -> String {
        self.lines.get(name).map_or_else(|| origin.to_owned(), |line| format!("{origin}:{line}"))
    }

    /// Gives every disk sectors of the size that `DIB_BLOCK_SIZE` asks for, whatever the description says.
    ///
    /// # Errors
    /// When it is neither 512 nor 4096.
    pub fn set_sector_size(&mut self, text: &str) -> Result<(), SectorSizeError> {
        let size = match text.trim() {
            "512" => 512,
            "4096" => 4096,
            _ => return Err(SectorSizeError(text.to_owned())),
        };
        self.loops.iter_mut().for_each(|disk| disk.block_size = size);
        Ok(())
    }

    /// The mount points in the order of the description: those of mount nodes, then those of subvolumes.
    pub fn points(&self) -> impl Iterator<Item = &str> {
        let subvolumes = self.filesystems.iter().flat_map(|filesystem| &filesystem.subvolumes);
        let mounts = self.mounts.iter().map(|mount| mount.mount_point.as_str());
        mounts.chain(subvolumes.filter_map(|subvolume| subvolume.mount_point.as_deref()))
    }

    /// The mount points in the order in which they are mounted: bytewise, so parents come first and swap's `none` last.
    pub fn mount_points(&self) -> Vec<&str> {
        let mut points: Vec<_> = self.points().collect();
        points.sort_unstable();
        points
    }

    /// The file system mounted at `mount_point`, itself or one of its subvolumes.
    pub fn filesystem_at(&self, mount_point: &str) -> Option<&Mkfs> {
        self.filesystems.iter().find(|filesystem| {
            let own = |mount: &Mount| mount.mount_point == mount_point && mount.base == filesystem.name;
            let below = |subvolume: &Subvolume| subvolume.mount_point.as_deref() == Some(mount_point);
            self.mounts.iter().any(own) || filesystem.subvolumes.iter().any(below)
        })
    }

    /// Label of the file system of /boot: its node's name when it has none, nothing without /boot (DIB's `boot-label`).
    pub fn boot_label(&self) -> &str {
        self.filesystem_at("/boot").map_or("", |boot| boot.label.as_deref().unwrap_or(&boot.name))
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
