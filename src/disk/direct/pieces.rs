//! Moves bytes between files, leaving holes as holes.
//!
//! In: a file that a tool made, the place where its bytes belong. Out: the bytes in their place. Not here: what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::SeekFrom;

use super::{DiskError, Job};

/// Bytes at a time.
const CHUNK: u64 = 1 << 20;

/// A file beside the image, for what is made on the way; removed when it is dropped.
pub(super) struct Temporary {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// The file as it was made; a tool may have put another in its place.
    pub file: File,
}

impl Temporary {
    /// A file of `size` bytes, all of them a hole, with the name of `image` and `what` behind it.
    pub fn new(image: &Utf8Path, what: &str, size: u64) -> Result<Self, DiskError> {
        let path = beside_image(image, what);
        let file = create(&path, size)?;
        Ok(Self { path, file })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Lets `make` write the job's file system into a file of its own, of the right size, and puts it into its place: for tools that
/// know no offset.
pub(super) fn beside(job: &Job<'_>, make: impl FnOnce(&Utf8Path) -> Result<(), DiskError>) -> Result<(), DiskError> {
    let part = Temporary::new(job.image, "part", job.filesystem.size)?;
    make(&part.path)?;
    let to = OpenOptions::new().write(true).open(job.image).map_err(DiskError::io("open", job.image))?;
    let from = File::open(&part.path).map_err(DiskError::io("open", &part.path))?;
    let size = from.metadata().map_err(DiskError::io("look at", &part.path))?.len();
    if size > job.filesystem.size {
        // Some tools make the file larger than they were told.
        return Err(DiskError::DoesNotFit {
            node: job.filesystem.name.clone(),
            mount_point: job.filesystem.mounts().next().map(|mounted| mounted.point.to_owned()).unwrap_or_default(),
            used: size,
            size: job.filesystem.size,
            missing: size - job.filesystem.size,
        });
    }
    copy(&from, 0, &to, job.start, size).map_err(DiskError::io("write into", job.image))
}

/// The path of a file beside the image, with its name and something behind it.
pub(super) fn beside_image(image: &Utf8Path, what: &str) -> Utf8PathBuf {
    image.with_file_name(format!("{}.{what}", image.file_name().unwrap_or("image")))
}

/// A new file of `size` bytes, all of them a hole.
pub(super) fn create(path: &Utf8Path, size: u64) -> Result<File, DiskError> {
    let open = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(size)?;
        Ok(file)
    };
    open().map_err(DiskError::io("create", path))
}

/// Copies `size` bytes, only those that are no hole. The place they go to holds nothing yet.
pub(super) fn copy(from: &File, first: u64, to: &File, start: u64, size: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    for (begin, end) in data(from, first, first + size)? {
        let mut at = begin;
        while at < end {
            buffer.resize((end - at).min(CHUNK) as usize, 0);
            from.read_exact_at(&mut buffer, at)?;
            to.write_all_at(&buffer, start + (at - first))?;
            at += buffer.len() as u64;
        }
    }
    Ok(())
}

/// The runs of `file` between `first` and `end` that are no hole.
pub(super) fn data(file: &File, first: u64, end: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut runs = Vec::new();
    let mut at = first;
    while at < end {
        let begin = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(begin) if begin < end => begin,
            Ok(_) | Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let stop = rustix::fs::seek(file, SeekFrom::Hole(begin))?.min(end);
        runs.push((begin, stop));
        at = stop;
    }
    Ok(runs)
}
