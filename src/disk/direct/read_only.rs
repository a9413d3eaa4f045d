//! Squashfs and EROFS: file systems that are packed once, straight into their place.
//!
//! In: a job. Out: the packed content of its folder at its offset. Both tools write the same bytes for the same tree; when a time is
//! given every file has it, because neither tool can replace only the later ones. Not here: the output formats of the same names
//! (`format/`).

use camino::Utf8Path;

use super::version::{self, Version};
use super::{DiskError, Job, erofs_label, pieces};
use crate::sandbox::command::Command;
use crate::sandbox::mount::seeing_only;

/// Since when `mkfs.erofs` keeps times (`--preserve-mtime`).
const EROFS: Version = Version(1, 4);

/// Packs the file system.
pub(super) fn write(job: &Job<'_>) -> Result<(), DiskError> {
    let filesystem = job.filesystem;
    let Some(content) = job.content() else {
        let why = format!("{} cannot be changed later, so it needs a mount point to be filled from", filesystem.kind);
        return Err(DiskError::Shape { node: filesystem.name.clone(), why });
    };
    let others = job.others();
    pieces::beside(job, |file| {
        let words = if filesystem.kind == "erofs" { erofs(job, &content, file) } else { squashfs(job, &content, file) };
        let command = Command::new(words);
        let ended = seeing_only(&content, &others, || command.check(job.events))
            .map_err(DiskError::io("hide the content of other file systems in", &content))?;
        ended.map_err(|source| DiskError::Mkfs { node: filesystem.name.clone(), source })?;
        if filesystem.kind == "erofs" {
            erofs_label::set(file, &filesystem.label).map_err(|source| DiskError::Format {
                node: filesystem.name.clone(),
                what: "the label",
                source,
            })?;
        }
        Ok(())
    })
}

/// Whether the machine's `mkfs.erofs` can do it; `None` when it can.
pub(super) fn too_old() -> Option<String> {
    match version::of(&["mkfs.erofs", "-V"]) {
        Some(has) if has >= EROFS => None,
        Some(has) => Some(format!("mkfs.erofs is {has}, and {EROFS} or later is needed")),
        // Not there at all: that is said with what to install.
        None => None,
    }
}

fn squashfs(job: &Job<'_>, content: &Utf8Path, file: &Utf8Path) -> Vec<String> {
    let fixed = ["-noappend", "-no-progress", "-quiet", "-no-recovery", "-xattrs"];
    let mut words = vec!["mksquashfs".to_owned(), content.to_string(), file.to_string()];
    words.extend(fixed.map(str::to_owned));
    if let Some(time) = job.time {
        words.extend(["-mkfs-time".to_owned(), time.to_string(), "-all-time".to_owned(), time.to_string()]);
    }
    words.extend(job.filesystem.options.iter().cloned());
    words
}

fn erofs(job: &Job<'_>, content: &Utf8Path, file: &Utf8Path) -> Vec<String> {
    let mut words =
        vec!["mkfs.erofs".to_owned(), "--quiet".to_owned(), "-U".to_owned(), job.filesystem.uuid.to_string()];
    match job.time {
        Some(time) => words.extend(["-T".to_owned(), time.to_string()]),
        None => words.push("--preserve-mtime".to_owned()),
    }
    words.extend(job.filesystem.options.iter().cloned());
    words.extend([file.to_string(), content.to_string()]);
    words
}
