//! Btrfs, by `mkfs.btrfs`, with its subvolumes.
//!
//! `mkfs.btrfs --rootdir` fills a file system from a folder; subvolumes it makes since 6.12. Before, the kernel makes and fills them.
//! In: a job. Out: the file system in its place. Its inner identifiers and times are the tool's: it is not the same bytes in every
//! build.

use camino::Utf8Path;

use super::by_kernel::{self, Part};
use super::version::{self, Version};
use super::way::Way;
use super::{DiskError, Job, pieces, tree};
use crate::disk::layout::FileSystem;
use crate::sandbox::command::Command;
use crate::sandbox::mount::{seeing_only, seeing_together};

/// Since when `--rootdir` keeps what is in the folder.
const FILLS: Version = Version(4, 17);
/// Since when there is `--subvol`.
const SUBVOLUMES: Version = Version(6, 12);

/// How `filesystem` is filled on this machine.
pub(super) fn way(filesystem: &FileSystem) -> Way {
    let needs = if filesystem.subvolumes.is_empty() { FILLS } else { SUBVOLUMES };
    Way::choose("btrfs", "mkfs.btrfs", version::of(&["mkfs.btrfs", "--version"]), needs)
}

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>) -> Result<(), DiskError> {
    let parts = parts(job);
    match (way(job.filesystem), parts.as_slice()) {
        (_, []) if job.filesystem.subvolumes.is_empty() => pieces::beside(job, |file| run(job, file, None)),
        (Way::Tool, [part]) if job.filesystem.subvolumes.is_empty() => pieces::beside(job, |file| {
            seeing_only(&part.content, &part.others, || run(job, file, Some(&part.content)))
                .map_err(DiskError::io("hide the content of other file systems in", &part.content))?
        }),
        (Way::Tool, parts) => pieces::beside(job, |file| together(job, file, parts)),
        (way, parts) => {
            way.check(&job.filesystem.name)?;
            job.events.info(format!("{}: {way}", job.filesystem.name));
            by_kernel::fill(job, |device| words(job, device, None), |top| subvolumes(job, top), parts)
        }
    }
}

/// What each of its mounts shows is filled from the folder it is mounted at.
fn parts(job: &Job<'_>) -> Vec<Part> {
    let mounts = job.filesystem.mounts().filter(|mounted| mounted.point.starts_with('/'));
    let part = |mounted: crate::disk::layout::Mounted<'_>| Part {
        to: mounted.subvolume.map_or_else(String::new, |subvolume| subvolume.name.clone()),
        content: tree::inside(job.tree, mounted.point),
        others: job.others_below(mounted.point),
    };
    mounts.map(part).collect()
}

/// Lets the tool see the folders of the subvolumes as they are to be in the file system.
fn together(job: &Job<'_>, file: &Utf8Path, parts: &[Part]) -> Result<(), DiskError> {
    let top = pieces::beside_image(job.image, "top");
    std::fs::create_dir_all(&top).map_err(DiskError::io("create", &top))?;
    let shown: Vec<_> =
        parts.iter().map(|part| (part.to.as_str(), part.content.as_path(), part.others.as_slice())).collect();
    let empty = job.filesystem.subvolumes.iter().map(|subvolume| subvolume.name.as_str()).collect::<Vec<_>>();
    let done = seeing_together(&top, &empty, &shown, || run(job, file, Some(&top)))
        .map_err(DiskError::io("show the folders of subvolumes together at", &top))?;
    std::fs::remove_dir(&top).map_err(DiskError::io("remove", &top))?;
    done
}

fn run(job: &Job<'_>, file: &Utf8Path, content: Option<&Utf8Path>) -> Result<(), DiskError> {
    let mut command = Command::new(words(job, file, content));
    if let Some(time) = job.time {
        command = command.env("SOURCE_DATE_EPOCH", time.to_string());
    }
    let ended = command.check(job.events);
    let (content, others) = (job.content().unwrap_or_else(|| job.tree.to_owned()), job.others());
    ended.map(drop).map_err(|source| super::fit::explain(job, &content, &others, source))
}

fn words(job: &Job<'_>, device: &Utf8Path, content: Option<&Utf8Path>) -> Vec<String> {
    let filesystem = job.filesystem;
    let mut words: Vec<String> = ["mkfs.btrfs", "-q", "-f", "-K"].map(str::to_owned).into();
    words.extend(["-L".into(), filesystem.label.clone(), "-U".into(), filesystem.uuid.to_string()]);
    words.extend(filesystem.options.iter().cloned());
    if let Some(content) = content {
        words.extend(["--rootdir".into(), content.to_string()]);
        for subvolume in &filesystem.subvolumes {
            words.extend(["--subvol".into(), format!("rw:{}", subvolume.name)]);
        }
    }
    words.push(device.to_string());
    words
}

/// Makes the subvolumes below the mounted top, parents first as the description has them.
fn subvolumes(job: &Job<'_>, top: &Utf8Path) -> Result<(), DiskError> {
    for subvolume in &job.filesystem.subvolumes {
        let at = top.join(&subvolume.name);
        if let Some(above) = at.parent() {
            std::fs::create_dir_all(above).map_err(DiskError::io("create", above))?;
        }
        let command = Command::new(["btrfs", "subvolume", "create", "--", at.as_str()]).quiet();
        let node = job.filesystem.name.clone();
        command.check(job.events).map_err(|source| DiskError::Mkfs { node, source })?;
    }
    Ok(())
}
