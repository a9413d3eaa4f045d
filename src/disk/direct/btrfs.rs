//! Btrfs, by `mkfs.btrfs`, with its subvolumes.
//!
//! `mkfs.btrfs --rootdir` fills a file system from a folder, makes subvolumes since 6.12 and compresses since 6.13, but loses the
//! numbers of device nodes and takes every time as it is (7.1 still does). So the kernel fills it where it can, and the tool where no
//! kernel has btrfs. In: a job. Out: the file system in its place. Inner identifiers and change times are the tool's or the
//! kernel's: it is not the same bytes in every build.

use std::os::unix::fs::FileTypeExt;

use camino::{Utf8Path, Utf8PathBuf};

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

/// Since when there is `--compress`.
const COMPRESSES: Version = Version(6, 13);

/// How `filesystem` is filled on this machine.
pub(super) fn way(filesystem: &FileSystem) -> Way {
    let needs = match compression(filesystem) {
        Some(_) => COMPRESSES,
        None if filesystem.subvolumes.is_empty() => FILLS,
        None => SUBVOLUMES,
    };
    match Way::kernel("btrfs", "mkfs.btrfs loses numbers of device nodes and keeps late times".to_owned()) {
        Way::None { .. } => Way::choose("btrfs", "mkfs.btrfs", version::of(&["mkfs.btrfs", "--version"]), needs),
        way => way,
    }
}

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>) -> Result<(), DiskError> {
    let (parts, divided) = (parts(job), !job.filesystem.subvolumes.is_empty());
    if parts.is_empty() && !divided {
        return pieces::beside(job, |file| run(job, file, None));
    }
    let way = way(job.filesystem);
    if way == Way::Tool
        && let Some(node) = parts.iter().find_map(|part| device_node(&part.content))
    {
        let why = format!(
            "mkfs.btrfs would lose the numbers of the device node {node}; remove it, or build where the kernel has btrfs"
        );
        return Err(DiskError::Shape { node: job.filesystem.name.clone(), why });
    }
    match (way, parts.as_slice()) {
        (Way::Tool, [part]) if !divided => pieces::beside(job, |file| {
            seeing_only(&part.content, &part.others, || run(job, file, Some(&part.content)))
                .map_err(DiskError::io("hide the content of other file systems in", &part.content))?
        }),
        (Way::Tool, parts) => pieces::beside(job, |file| together(job, file, parts)),
        (way, parts) => {
            way.check(&job.filesystem.name)?;
            job.events.info(format!("{}: {way}", job.filesystem.name));
            let options = compression(job.filesystem).map(|how| format!("compress={how}")).unwrap_or_default();
            by_kernel::fill(job, &options, |device| words(job, device, None), |top| subvolumes(job, top), parts)
        }
    }
}

/// A device node in the folder, which no version of mkfs.btrfs so far (7.1) copies with its numbers.
fn device_node(content: &Utf8Path) -> Option<Utf8PathBuf> {
    let entries = walkdir::WalkDir::new(content).same_file_system(true).into_iter().flatten();
    let special = |kind: std::fs::FileType| kind.is_char_device() || kind.is_block_device();
    let node = entries.into_iter().find(|entry| special(entry.file_type()))?;
    let node = Utf8PathBuf::try_from(node.into_path()).ok()?;
    Some(node.strip_prefix(content).map_or_else(|_| node.clone(), |inside| Utf8Path::new("/").join(inside)))
}

/// How its files are compressed: as the first of its mounts says that is to have compressed ones.
fn compression(filesystem: &FileSystem) -> Option<&str> {
    let mut options =
        filesystem.mounts().filter_map(|mounted| mounted.fstab).flat_map(|entry| entry.options.split(','));
    options.find_map(|option| option.strip_prefix("compress=").or_else(|| option.strip_prefix("compress-force=")))
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
        if let Some(how) = compression(filesystem) {
            words.extend(["--compress".into(), how.to_owned()]);
        }
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
