//! Reads DIB's block-device descriptions.
//!
//! In: YAML in tree or graph form. Out: a [`Config`], flat and checked: names, labels and mount points
//! are unique, every base exists and fits. Pure. Not here: sizes and offsets (`solve`).

mod check;
mod error;
mod flatten;
mod gpt_type;
mod label;
mod node;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::layout::{FstabEntry, PartitionKind};
use super::size::Size;
pub use error::ConfigError;
pub use label::{LabelError, check as check_label};

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
    /// The file systems.
    pub filesystems: Vec<Mkfs>,
    /// Where they are mounted.
    pub mounts: Vec<Mount>,
    /// Their lines in /etc/fstab.
    pub fstab: Vec<Fstab>,
    /// What the user may want to mend, one line each: keys that mean nothing.
    pub warnings: Vec<String>,
}

/// A disk image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalLoop {
    /// Its name; the primary disk is `image0`.
    pub name: String,
    /// Bytes; the request's size when absent.
    pub size: Option<u64>,
    /// Bytes per sector: 512 or 4096.
    pub block_size: u32,
}

/// A partition table on a disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partitioning {
    /// Its name.
    pub name: String,
    /// The disk.
    pub base: String,
    /// Which kind.
    pub label: TableKind,
    /// Bytes to which an MBR's partitions are aligned; a GPT's always are to 1 MiB.
    pub align: u64,
    /// The partitions in the order of their place on the disk.
    pub partitions: Vec<Partition>,
}

/// Kinds of partition tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// DOS.
    Mbr,
    /// GUID.
    Gpt,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name, and its label in a GPT.
    pub name: String,
    /// Its size.
    pub size: Size,
    /// Its type.
    pub kind: PartitionKind,
    /// The active flag of an MBR.
    pub boot: bool,
    /// In an MBR: in the table itself rather than in the extended partition.
    pub primary: bool,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mkfs {
    /// Its name.
    pub name: String,
    /// The partition or the disk it is made on.
    pub base: String,
    /// `ext4`, `vfat`, …; the request's when absent, which only [`ROOT`] may leave to it.
    pub kind: Option<String>,
    /// Its label when the description gives one.
    pub label: Option<String>,
    /// Words for its mkfs when the description gives some.
    pub options: Option<Vec<String>>,
    /// Its identifier when the description gives one.
    pub uuid: Option<Uuid>,
}

/// A mount point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Its name.
    pub name: String,
    /// The file system.
    pub base: String,
    /// An absolute path, or `none` for swap.
    pub mount_point: String,
}

/// A line in /etc/fstab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fstab {
    /// Its name.
    pub name: String,
    /// The mount.
    pub base: String,
    /// Its last three fields.
    pub entry: FstabEntry,
}

/// Reads the description `text`; `origin` is what a user calls it.
///
/// # Errors
/// With the node's name, its place in `text` and what would be valid.
pub fn parse(text: &str, origin: &str) -> Result<Config, ConfigError> {
    let read = || {
        let document = super::yaml::parse(text)?;
        let nodes = flatten::flatten(&document)?;
        let mut config = Config::default();
        for node in &nodes {
            node::add(&mut config, node)?;
        }
        check::check(&config, &nodes)?;
        Ok(config)
    };
    read().map_err(|(message, place)| ConfigError::new(message, place, text, origin))
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

    /// The mount points in the order in which they are mounted: bytewise, so parents come first and swap's `none` last.
    pub fn mount_points(&self) -> Vec<&str> {
        let mut points: Vec<_> = self.mounts.iter().map(|mount| mount.mount_point.as_str()).collect();
        points.sort_unstable();
        points
    }

    /// The file system mounted at `mount_point`.
    pub fn filesystem_at(&self, mount_point: &str) -> Option<&Mkfs> {
        let mount = self.mounts.iter().find(|mount| mount.mount_point == mount_point)?;
        self.filesystems.iter().find(|filesystem| filesystem.name == mount.base)
    }

    /// Label of the file system of /boot: its node's name when it has none, nothing without /boot (DIB's `boot-label`).
    pub fn boot_label(&self) -> &str {
        self.filesystem_at("/boot").map_or("", |boot| boot.label.as_deref().unwrap_or(&boot.name))
    }
}

#[cfg(test)]
mod tests;
