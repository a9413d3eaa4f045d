//! Shows a finished image as real block devices and mounts its file systems, for hooks that want them.
//!
//! In: a [`Layout`] and the image files that `direct` wrote from it. Out: an [`Attached`]: device nodes by the names of the
//! description, a mounted tree, and at [`Attached::finish`] the same files with what the hooks changed. FAT is never mounted: many
//! kernels have no driver for it. Its content lies in memory meanwhile, in a tmpfs that the table of mounts says to be the
//! partition's device, so that tools which look for the device of a folder (grub-probe) find the file system itself; at the end the
//! partition is written anew. Not here: the partition table and the first content (`direct`), boot code (`boot/`).

mod machine;
mod stage;

use camino::{Utf8Path, Utf8PathBuf};

use super::direct::{self, DiskError};
use super::driver;
use super::layout::{self, Device, FileSystem, Layout};
use crate::event::Events;
use crate::sandbox::loop_device::LoopDevice;
use crate::sandbox::mounted::{self, Mounted};
pub use machine::check;

/// The disk that scripts know as the image.
const PRIMARY: &str = "image0";

/// Images that are attached; mounts end and devices are detached when it is dropped.
#[derive(Debug)]
pub struct Attached {
    layout: Layout,
    mounts: Vec<Mount>,
    disks: Vec<Disk>,
    at: Utf8PathBuf,
}

#[derive(Debug)]
struct Disk {
    name: String,
    image: Utf8PathBuf,
    device: LoopDevice,
    /// Number, name and node of each partition.
    partitions: Vec<(u32, String, Utf8PathBuf)>,
}

#[derive(Debug)]
struct Mount {
    filesystem: FileSystem,
    staged: bool,
    mounted: Mounted,
}

/// Attaches the images of `layout`'s disks: pairs of a disk's name and its file. Call it in a mount namespace of your own.
///
/// # Errors
/// When the layout has no such disk, or the kernel refuses.
pub fn attach(layout: &Layout, images: &[(String, Utf8PathBuf)]) -> Result<Attached, DiskError> {
    let mut attached =
        Attached { layout: layout.clone(), mounts: Vec::new(), disks: Vec::new(), at: Utf8PathBuf::new() };
    for (name, image) in images {
        let disk = layout.disk(name).ok_or_else(|| DiskError::NoDisk { disk: name.clone() })?;
        let failed = || DiskError::io("attach as a loop device", image);
        let mut device = LoopDevice::attach(image, disk.sector_size).map_err(failed())?;
        let mut partitions = Vec::new();
        for partition in disk.partitions.iter().filter(|partition| !partition.is_extended()) {
            let node = device
                .add_partition(partition.number, partition.start, partition.size)
                .map_err(|source| DiskError::Partition { node: partition.name.clone(), disk: name.clone(), source })?;
            partitions.push((partition.number, partition.name.clone(), node));
        }
        attached.disks.push(Disk { name: name.clone(), image: image.clone(), device, partitions });
    }
    Ok(attached)
}

impl Attached {
    /// The device node of the disk or partition with this name in the description.
    pub fn device(&self, name: &str) -> Option<&Utf8Path> {
        self.devices().find(|(known, _)| *known == name).map(|(_, node)| node)
    }

    /// Every disk and its partitions: name and device node.
    pub fn devices(&self) -> impl Iterator<Item = (&str, &Utf8Path)> {
        self.disks.iter().flat_map(|disk| {
            let partitions = disk.partitions.iter().map(|(_, name, node)| (name.as_str(), node.as_path()));
            std::iter::once((disk.name.as_str(), disk.device.node())).chain(partitions)
        })
    }

    /// What shell hooks get as `IMAGE_BLOCK_DEVICE`: the device of `image0`, else of the first disk.
    pub fn image_block_device(&self) -> Option<&Utf8Path> {
        self.device(PRIMARY).or_else(|| self.devices().next().map(|(_, node)| node))
    }

    /// What shell hooks get as `IMAGE_BLOCK_DEVICES`, the text of a bash array: ` [image0]=/dev/loop0  [root]=/dev/loop0p1 `.
    pub fn image_block_devices(&self) -> String {
        self.devices().map(|(name, node)| format!(" [{name}]={node} ")).collect()
    }

    /// Mounts every file system that has a mount point below the folder `at`, parents first. `tree` is what the images were filled
    /// from.
    ///
    /// # Errors
    /// When a mount point leads elsewhere, or the kernel refuses.
    pub fn mount(&mut self, tree: &Utf8Path, at: &Utf8Path) -> Result<(), DiskError> {
        self.at = at.to_owned();
        let layout = self.layout.clone();
        for layout::Mounted { point, filesystem, subvolume, .. } in layout.mounts() {
            let filesystem = filesystem.clone();
            let Some(device) = self.device_of(&filesystem).filter(|_| point.starts_with('/')) else { continue };
            direct::make_mount_point(at, point)?;
            let folder = direct::inside(at, point);
            let staged = machine::is_staged(&filesystem.kind);
            let mounted = if staged {
                let memory = Mounted::memory(device.as_str(), filesystem.size, &folder);
                let memory = memory.map_err(DiskError::io("mount memory at", &folder))?;
                stage::copy(&direct::inside(tree, point), &folder)?;
                memory
            } else {
                let (driver, options) = driver::mount_by(&filesystem.kind);
                let mounted = match subvolume {
                    Some(subvolume) => Mounted::subvolume(&device, &driver, &subvolume.name, &folder),
                    None => Mounted::device(&device, &driver, options, &folder),
                };
                mounted.map_err(|source| DiskError::Mount { node: filesystem.name.clone(), device, source })?
            };
            self.mounts.push(Mount { filesystem, staged, mounted });
        }
        Ok(())
    }

    /// The folders at which file systems of the image are mounted, without its root: what `format::Inputs::parts` wants.
    pub fn parts(&self) -> Vec<Utf8PathBuf> {
        let paths = self.mounts.iter().map(|mount| mount.mounted.path().to_owned());
        paths.filter(|path| *path != self.at).collect()
    }

    /// Unmounts and detaches everything; the image files then hold what the hooks left. What others mounted below the folder is
    /// taken away first. `time` (seconds since the epoch) replaces every later time. Making files durable is the caller's.
    ///
    /// # Errors
    /// When something still uses a file system or a device, or a FAT file system cannot hold its folder's content.
    pub fn finish(mut self, time: Option<i64>, events: &Events) -> Result<(), DiskError> {
        let own: Vec<&Utf8Path> = self.mounts.iter().map(|mount| mount.mounted.path()).collect();
        if !own.is_empty() {
            mounted::detach_others(&self.at, &own).map_err(DiskError::io("take away the mounts below", &self.at))?;
        }
        while let Some(Mount { filesystem, staged, mounted }) = self.mounts.pop() {
            let point = mounted.path().to_owned();
            if staged {
                self.write_staged(&filesystem, time, events)?;
            } else {
                // Only makes the file smaller.
                let _ = mounted.trim();
            }
            mounted.unmount().map_err(DiskError::io("unmount", &point))?;
        }
        while let Some(disk) = self.disks.pop() {
            disk.device.detach().map_err(DiskError::io("detach from its loop device", &disk.image))?;
        }
        Ok(())
    }

    /// Writes a FAT file system again from its folder.
    fn write_staged(&self, filesystem: &FileSystem, time: Option<i64>, events: &Events) -> Result<(), DiskError> {
        let Some((disk, number)) = self.place_of(filesystem) else { return Ok(()) };
        // What a hook wrote to the device must not follow what is written to the file now.
        let partition = disk.partitions.iter().find(|(known, ..)| Some(*known) == number);
        for node in partition.map(|(_, _, node)| node.as_path()).into_iter().chain([disk.device.node()]) {
            LoopDevice::flush(node).map_err(DiskError::io("write what was written to", node))?;
        }
        direct::rewrite_fat(&self.layout, filesystem, &self.at, &disk.image, time, events)
    }

    fn device_of(&self, filesystem: &FileSystem) -> Option<Utf8PathBuf> {
        let (disk, number) = self.place_of(filesystem)?;
        let Some(number) = number else { return Some(disk.device.node().to_owned()) };
        disk.partitions.iter().find(|(known, ..)| *known == number).map(|(_, _, node)| node.clone())
    }

    /// The attached disk of a file system, and the number of its partition when it does not fill the disk.
    fn place_of(&self, filesystem: &FileSystem) -> Option<(&Disk, Option<u32>)> {
        let (name, number) = match &filesystem.device {
            Device::Disk { disk } => (disk, None),
            Device::Partition { disk, number } => (disk, Some(*number)),
            Device::Volume { .. } | Device::Luks { .. } => return None,
        };
        self.disks.iter().find(|disk| disk.name == *name).map(|disk| (disk, number))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // The latest first; a vector would drop the first first.
        while self.mounts.pop().is_some() {}
        while self.disks.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests;
