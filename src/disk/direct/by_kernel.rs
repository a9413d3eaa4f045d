//! Fills a file system through the kernel, where no tool of the machine can fill one from a folder without loss.
//!
//! In: a job, its mkfs, and which folder of the tree goes where. Out: the file system in its place. The loop device and the mount
//! live in a mount namespace of the work's own thread and vanish with it, however it ends. Change times and the order of blocks are
//! the kernel's: such a file system is not the same bytes in every build. Not here: when this way is taken (`xfs`, `btrfs`).

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::{DiskError, Job, pieces};
use crate::disk::driver;
use crate::sandbox::command::Command;
use crate::sandbox::loop_device::{self, LoopDevice};
use crate::sandbox::mount::seeing_only;
use crate::sandbox::mounted::Mounted;

/// A folder of the tree that a folder of the file system is filled from.
pub(super) struct Part {
    /// Where in the file system; empty for its top.
    pub to: String,
    /// Where on the host.
    pub content: Utf8PathBuf,
    /// Folders in it that other file systems fill, parents first.
    pub others: Vec<Utf8PathBuf>,
}

/// Makes the file system on a loop device with the command that `mkfs` makes of the device's node, mounts it with `options`, lets
/// `prepare` make folders (or subvolumes) in it, and copies `parts` there.
pub(super) fn fill(
    job: &Job<'_>,
    options: &str,
    mkfs: impl Fn(&Utf8Path) -> Vec<String> + Send + Sync,
    prepare: impl Fn(&Utf8Path) -> Result<(), DiskError> + Send + Sync,
    parts: &[Part],
) -> Result<(), DiskError> {
    let failed = |what| DiskError::io(what, job.image);
    let node = &job.filesystem.name;
    let work = || {
        // Before Linux 6.7 btrfs tells file systems apart by their identifiers alone: of two builds with one seed, one waits.
        let btrfs = job.filesystem.kind == "btrfs";
        let _turn = btrfs.then(loop_device::turn).transpose().map_err(failed("wait for another build to mount"))?;
        let device = LoopDevice::attach_part(job.image, job.sector, job.start, job.filesystem.size)
            .map_err(failed("attach as a loop device"))?;
        let mkfs = Command::new(mkfs(device.node()));
        mkfs.check(job.events).map_err(|source| DiskError::mkfs(job.filesystem, source))?;
        let folder = pieces::beside_image(job.image, "mounted");
        std::fs::create_dir_all(&folder).map_err(DiskError::io("create", &folder))?;
        let (kind, usual) = driver::mount_by(&job.filesystem.kind);
        let options: Vec<&str> = [usual, options].into_iter().filter(|options| !options.is_empty()).collect();
        let mounted = Mounted::device(device.node(), &kind, &options.join(","), &folder)
            .map_err(|source| DiskError::Mount { node: node.clone(), device: device.node().to_owned(), source })?;
        prepare(&folder)?;
        for part in parts {
            copy(job, part, &folder.join(&part.to))?;
        }
        if let Some(time) = job.time {
            clamp(&folder, time)?;
        }
        mounted.unmount().map_err(DiskError::io("unmount", &folder))?;
        device.detach().map_err(failed("detach from its loop device"))?;
        std::fs::remove_dir(&folder).map_err(DiskError::io("remove", &folder))
    };
    seeing_only(job.tree, &[], work).map_err(DiskError::io("make mounts for", job.image))?
}

/// Everything of the folder: owners, modes, times, links, holes and extended attributes. What cannot be kept is an error.
fn copy(job: &Job<'_>, part: &Part, to: &Utf8Path) -> Result<(), DiskError> {
    let keep = "--preserve=mode,ownership,timestamps,links,xattr";
    let command = Command::new(["cp", "-dR", keep, "--", &format!("{}/.", part.content), &format!("{to}/")]);
    let copied = seeing_only(&part.content, &part.others, || command.check(job.events))
        .map_err(DiskError::io("hide the content of other file systems in", &part.content))?;
    copied.map(drop).map_err(|source| super::fit::explain(job, &part.content, &part.others, source))
}

/// No time is later than `time`, and what reading left does not show.
fn clamp(folder: &Utf8Path, time: i64) -> Result<(), DiskError> {
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        let set = || {
            use std::os::unix::fs::MetadataExt;
            let entry = entry.map_err(std::io::Error::from)?;
            let facts = entry.metadata().map_err(std::io::Error::from)?;
            let mut modified = Timespec { tv_sec: facts.mtime(), tv_nsec: facts.mtime_nsec() };
            if (modified.tv_sec, modified.tv_nsec) > (time, 0) {
                modified = Timespec { tv_sec: time, tv_nsec: 0 };
            }
            let times = Timestamps { last_access: Timespec { tv_sec: time, tv_nsec: 0 }, last_modification: modified };
            utimensat(CWD, entry.path(), &times, AtFlags::SYMLINK_NOFOLLOW).map_err(std::io::Error::from)
        };
        set().map_err(DiskError::io("set the times in", folder))?;
    }
    Ok(())
}
