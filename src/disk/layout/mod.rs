//! The solved block-device description: every partition, volume and file system with its offset and size.
//!
//! In: what `solve` found. Out: values to print, to write and to mount by. All offsets and sizes are bytes, all is pure and
//! serialisable. One file a kind of device; this one has the whole, and the questions that need all of it. Not here: how
//! anything is placed (`solve`), written (`direct`) or attached (`loopback`).

mod device;
mod disk;
mod encryption;
mod filesystem;
mod volume;

use serde::{Deserialize, Serialize};

pub use device::{Device, Region};
pub(super) use disk::EXTENDED;
pub use disk::{Disk, Partition, PartitionKind, Table};
pub use encryption::{Luks, Verity};
pub use filesystem::{FileSystem, FstabEntry, Mounted, Subvolume};
pub use volume::{HiddenVolume, LogicalVolume, PhysicalVolume, Segment, VolumeGroup, VolumeKind, lvm_identifier};

/// A solved description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The disks, the primary one (`image0`) first.
    pub disks: Vec<Disk>,
    /// The encrypted containers.
    #[serde(default)]
    pub luks: Vec<Luks>,
    /// The volume groups of LVM.
    #[serde(default)]
    pub volume_groups: Vec<VolumeGroup>,
    /// The devices whose content is verified.
    #[serde(default)]
    pub verity: Vec<Verity>,
    /// The file systems in the order in which they are mounted, those without a mount point last.
    pub filesystems: Vec<FileSystem>,
}

impl Layout {
    /// The file system mounted at `mount_point`, itself or one of its subvolumes.
    pub fn at(&self, mount_point: &str) -> Option<&FileSystem> {
        let shown = |filesystem: &&FileSystem| filesystem.mounts().any(|mounted| mounted.point == mount_point);
        self.filesystems.iter().find(shown)
    }

    /// The disk named `name`.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }

    /// Every mount in the order in which they are made: bytewise by mount point, so parents come first and swap's `none` last.
    pub fn mounts(&self) -> Vec<Mounted<'_>> {
        let mut mounts: Vec<_> = self.filesystems.iter().flat_map(FileSystem::mounts).collect();
        mounts.sort_by_key(|mounted| mounted.point);
        mounts
    }

    /// The container named `name`.
    pub fn container(&self, name: &str) -> Option<&Luks> {
        self.luks.iter().find(|luks| luks.name == name)
    }

    /// The group named `name`.
    pub fn volume_group(&self, name: &str) -> Option<&VolumeGroup> {
        self.volume_groups.iter().find(|group| group.name == name)
    }

    /// The volume named `volume` of the group named `group`.
    pub fn volume(&self, group: &str, volume: &str) -> Option<(&VolumeGroup, &LogicalVolume)> {
        let group = self.volume_group(group)?;
        Some((group, group.volumes.iter().find(|found| found.name == volume)?))
    }

    /// What is verified of `device`.
    pub fn verity_of(&self, device: &Device) -> Option<&Verity> {
        self.verity.iter().find(|verity| verity.data == *device)
    }

    /// The name that systemd-veritysetup-generator(8) gives `verity`, whatever its node is called: `root` when `/` is on it, `usr`
    /// when `/usr` is. Any other has none: no word of the kernel's command line opens it.
    pub fn verified_name(&self, verity: &Verity) -> Option<&'static str> {
        let points = [("/", "root"), ("/usr", "usr")];
        let on_it = |point| self.at(point).is_some_and(|filesystem| filesystem.device == verity.data);
        points.into_iter().find_map(|(point, name)| on_it(point).then_some(name))
    }
}
