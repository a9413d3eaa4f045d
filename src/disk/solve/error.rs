//! Why a description has no solution.

use super::remedy::Remedy;
use crate::disk::config::LabelError;
use crate::disk::size::{exact, human};

/// Why a description has no solution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LayoutError {
    /// Neither the description nor the request says how large a disk is.
    #[error("disk `{disk}` has no size; set --image-size or `size` of its local_loop")]
    NoSize {
        /// The disk.
        disk: String,
    },
    /// A size that is none for a disk, most likely a number that was meant as GiB.
    #[error("disk `{disk}` would have {given} bytes, less than a sector of {sector}; a size has a unit, as in `10GiB`")]
    LessThanASector {
        /// The disk.
        disk: String,
        /// Bytes that were given.
        given: u64,
        /// Bytes per sector.
        sector: u64,
    },
    /// A partition is larger than what is left.
    #[error(
        "partition `{partition}` on `{disk}` needs {}, but only {} of {} are left; {}",
        human(*.needed), human(*.free), human(*.size), remedy.words(.size + .needed - .free)
    )]
    TooSmall {
        /// The partition.
        partition: String,
        /// Its disk.
        disk: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes left for it.
        free: u64,
        /// Bytes of the disk.
        size: u64,
        /// What would help.
        remedy: Remedy,
    },
    /// A size that rounds to nothing.
    #[error("partition `{partition}` on `{disk}` would be empty: {} are left for it, and sizes are whole {unit}", human(*.size))]
    Empty {
        /// The partition.
        partition: String,
        /// Its disk.
        disk: String,
        /// Bytes before rounding.
        size: u64,
        /// What is counted: `MiB`, `sectors`.
        unit: &'static str,
    },
    /// An MBR has four slots.
    #[error(
        "the MBR of `{disk}` has four places: at most four primary partitions, or three and any number of logical ones (those without the flag `primary`); here are {primary} primary and {logical} logical; use `label: gpt` for more"
    )]
    TooManyPrimaries {
        /// The disk.
        disk: String,
        /// Primary partitions.
        primary: usize,
        /// Logical partitions.
        logical: usize,
    },
    /// A GPT has 128 entries.
    #[error("`{disk}` has {count} partitions; a GPT holds at most 128")]
    TooManyEntries {
        /// The disk.
        disk: String,
        /// Partitions.
        count: usize,
    },
    /// MBR sector numbers have 32 bits.
    #[error("`{disk}` has {}, more than the 2^32 sectors an MBR can number; use `label: gpt`", human(*.size))]
    TooLargeForMbr {
        /// The disk.
        disk: String,
        /// Bytes of the disk.
        size: u64,
    },
    /// A hybrid MBR numbers sectors with 32 bits.
    #[error(
        "partition `{partition}` on `{disk}` ends after the 2^32 sectors that a hybrid MBR can number; move it forward, or remove `hybrid`"
    )]
    HybridTooFar {
        /// The partition.
        partition: String,
        /// Its disk.
        disk: String,
    },
    /// A device that cannot even hold its own administration.
    #[error("{kind} `{node}`: its device has {}, and it needs at least {}; make that larger", human(*.size), human(*.needed))]
    NoRoom {
        /// `luks` or `pv`.
        kind: &'static str,
        /// The node.
        node: String,
        /// Bytes of the device.
        size: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// The hashes of a verified device are more than their place holds.
    #[error("verity `{node}`: the hashes take {}, and `{hash}` has {}; make it larger", exact(.needed.next_multiple_of(1 << 20)), human(*.size))]
    HashRoom {
        /// The node.
        node: String,
        /// Where the hashes should be.
        hash: String,
        /// Bytes there.
        size: u64,
        /// Bytes of the hashes.
        needed: u64,
    },
    /// A logical volume, or the metadata of a thin pool, is larger than what is left of its group.
    #[error(
        "logical volume `{volume}`: {} are needed, but only {} of volume group `{group}` are left; make it smaller, or the group's physical volumes larger",
        human(*.needed), human(*.free)
    )]
    VolumeTooLarge {
        /// The volume.
        volume: String,
        /// Its group.
        group: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes left for it.
        free: u64,
    },
    /// A logical volume of no extents.
    #[error(
        "logical volume `{volume}` of volume group `{group}` would be empty: sizes are whole extents of {}, and shares are rounded down; give it more, or those before it less",
        human(*.extent)
    )]
    VolumeEmpty {
        /// The volume.
        volume: String,
        /// Its group.
        group: String,
        /// Bytes per extent.
        extent: u64,
    },
    /// A file system smaller than its mkfs makes any.
    #[error("mkfs `{node}`: {kind} needs at least {}, and `{base}` has {}; make that larger", human(*.needed), human(*.size))]
    FileSystemTooSmall {
        /// The node.
        node: String,
        /// The type.
        kind: String,
        /// What it is on.
        base: String,
        /// Bytes there.
        size: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// Subvolumes, and the request chose another type than btrfs.
    #[error(
        "mkfs `{node}` has subvolumes, which only btrfs has, and the root's type is {kind}; write `type: btrfs`, or set FS_TYPE=btrfs"
    )]
    NoSubvolumes {
        /// The node.
        node: String,
        /// The type.
        kind: String,
    },
    /// A label does not fit the file system that the request chose.
    #[error("mkfs `{node}`: {source}; change its `label`, or ROOT_LABEL")]
    Label {
        /// The node.
        node: String,
        /// Why.
        source: LabelError,
    },
    /// The request chose what cannot be the type of a root.
    #[error("mkfs `{node}`: FS_TYPE `{kind}` is not a type of file system for `/`: ext4, xfs, btrfs, …")]
    NotARootType {
        /// The node.
        node: String,
        /// The type.
        kind: String,
    },
    /// A verified file system that could be written to.
    #[error(
        "mkfs `{node}`: it is verified, and so read-only: add `ro` to `options` of its fstab or of its mounted subvolumes, or use squashfs or erofs"
    )]
    VerifiedWritable {
        /// The node.
        node: String,
    },
    /// Verified swap.
    #[error("`{node}`: swap is written to, and cannot be verified; remove the verity node on its base")]
    VerifiedSwap {
        /// The node.
        node: String,
    },
    /// A line of /etc/fstab that could not say what is mounted.
    #[error(
        "mkfs `{node}`: {kind} has no label and a whole disk no identifier, so nothing can name it in /etc/fstab; put it on a partition of a table"
    )]
    Nameless {
        /// The node.
        node: String,
        /// Its type.
        kind: String,
    },
    /// Two devices with one name in /dev/mapper.
    #[error("`{node}`: its device would be /dev/mapper/{name}, as that of `{other}`; give one of them another name")]
    SameMapperName {
        /// The node.
        node: String,
        /// The name.
        name: String,
        /// Who has it.
        other: String,
    },
    /// A group over disks of different sectors, which LVM refuses.
    #[error(
        "vg `{group}`: its physical volumes have sectors of {first} and of {second} bytes, and LVM wants all alike; change `block_size` of a disk"
    )]
    MixedSectors {
        /// The group.
        group: String,
        /// Bytes per sector of one.
        first: u32,
        /// Bytes per sector of another.
        second: u32,
    },
    /// Two file systems with one label: fstab could not tell them apart.
    #[error("mkfs `{node}`: label `{label}` is already that of `{other}`; labels are unique")]
    SameLabel {
        /// The node.
        node: String,
        /// The label.
        label: String,
        /// Who has it.
        other: String,
    },
    /// Something on what is not in the layout.
    #[error("`{node}`: there is no device `{base}`")]
    NoBase {
        /// The node.
        node: String,
        /// Its base.
        base: String,
    },
}

impl LayoutError {
    /// The node of the description that it is about.
    pub fn node(&self) -> &str {
        match self {
            Self::NoSize { disk }
            | Self::LessThanASector { disk, .. }
            | Self::TooManyPrimaries { disk, .. }
            | Self::TooManyEntries { disk, .. }
            | Self::TooLargeForMbr { disk, .. } => disk,
            Self::TooSmall { partition, .. } | Self::Empty { partition, .. } | Self::HybridTooFar { partition, .. } => {
                partition
            }
            Self::VolumeTooLarge { volume, .. } | Self::VolumeEmpty { volume, .. } => volume,
            Self::MixedSectors { group, .. } => group,
            Self::NoRoom { node, .. }
            | Self::NotARootType { node, .. }
            | Self::VerifiedWritable { node }
            | Self::VerifiedSwap { node }
            | Self::Nameless { node, .. }
            | Self::SameMapperName { node, .. }
            | Self::HashRoom { node, .. }
            | Self::FileSystemTooSmall { node, .. }
            | Self::NoSubvolumes { node, .. }
            | Self::Label { node, .. }
            | Self::SameLabel { node, .. }
            | Self::NoBase { node, .. } => node,
        }
    }
}
