//! ext2, ext3 and ext4, filled from the tree by `mke2fs -d` straight into their place in the image.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::ext_times::{self, Root};
use super::{DiskError, Job, fit};
use crate::sandbox::command::Command;
use crate::sandbox::mount::seeing_only;

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>, file: &File) -> Result<(), DiskError> {
    let (content, others) = (job.content(), job.others());
    let mut command = Command::new(arguments(job));
    if let Some(time) = job.time {
        // The first is older than the second.
        let time = time.to_string();
        command = command.env("E2FSPROGS_FAKE_TIME", &time).env("SOURCE_DATE_EPOCH", &time);
    }
    let ended = match &content {
        None => command.check(job.events),
        // mke2fs cannot leave anything out and walks into mounts, so it gets a view without them.
        Some(content) => match seeing_only(content, &others, || command.check(job.events)) {
            Ok(ended) => ended,
            // Without the right to mount, the tree is taken as it is when nothing has to be hidden.
            Err(_) if others.iter().all(|folder| is_empty(folder)) => command.check(job.events),
            Err(error) => return Err(DiskError::io("hide the content of other file systems in", content)(error)),
        },
    };
    ended.map_err(|source| match &content {
        Some(content) => fit::explain(job, content, &others, source),
        None => DiskError::Mkfs { node: job.filesystem.name.clone(), source },
    })?;
    let root = match &content {
        None => None,
        Some(content) => {
            let folder = content.metadata().map_err(DiskError::io("look at", content))?;
            Some(Root { mode: folder.mode(), uid: folder.uid(), gid: folder.gid() })
        }
    };
    ext_times::normalise(file, job.start, job.time, root)
        .map_err(DiskError::io("set the times of the ext file system in", job.image))
}

fn arguments(job: &Job<'_>) -> Vec<String> {
    let filesystem = job.filesystem;
    let uuid = filesystem.uuid.to_string();
    let mut extended = vec![
        format!("offset={}", job.start),
        format!("hash_seed={uuid}"),
        "root_owner=0:0".into(),
        "lazy_itable_init=1".into(),
        "lazy_journal_init=1".into(),
        // The image is new: there is nothing to discard.
        "nodiscard".into(),
    ];
    let mut options = Vec::new();
    let mut words = filesystem.options.iter();
    while let Some(word) = words.next() {
        // The last -E counts, so all have to be one.
        match word.strip_prefix("-E") {
            Some("") => extended.extend(words.next().cloned()),
            Some(value) => extended.push(value.to_owned()),
            None => options.push(word.clone()),
        }
    }
    let mut argv: Vec<String> = ["mke2fs", "-q", "-F", "-t", &filesystem.kind].map(str::to_owned).into();
    // mke2fs sees a file, and the kernel mounts no file system whose blocks are smaller than the disk's sectors.
    if job.sector > 1024 && !options.iter().any(|word| word.starts_with("-b")) {
        argv.extend(["-b".into(), job.sector.to_string()]);
    }
    argv.extend(options);
    argv.extend(["-L".into(), filesystem.label.clone(), "-U".into(), uuid, "-E".into(), extended.join(",")]);
    if let Some(content) = job.content() {
        argv.extend(["-d".into(), content.into_string()]);
    }
    argv.extend([job.image.to_string(), format!("{}K", filesystem.size / 1024)]);
    argv
}

fn is_empty(folder: &camino::Utf8Path) -> bool {
    folder.read_dir_utf8().is_ok_and(|mut entries| entries.next().is_none())
}
