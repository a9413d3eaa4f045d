//! The one folder a build may leave behind, and how the next build takes it away.
//!
//! A work folder `ID` stands beside a file `ID.lock`, locked as long as its build lives (flock; the builder inherits the
//! descriptor). What nobody holds is swept. Not here: what is in the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

/// A folder that belongs to one build.
#[derive(Debug)]
pub struct WorkFolder {
    path: Utf8PathBuf,
    lock: File,
}

impl WorkFolder {
    /// Makes a new folder below `parent`, which is made too, and takes its lock.
    ///
    /// # Errors
    /// When `parent` cannot be written.
    pub fn create(parent: &Utf8Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        loop {
            let id = tempfile::Builder::new()
                .prefix("build-")
                .suffix(".lock")
                .rand_bytes(8)
                .make_in(parent, |path| OpenOptions::new().read(true).write(true).create_new(true).open(path))?;
            let (file, path) = id.into_parts();
            let lock_path = Utf8PathBuf::from_path_buf(path.keep().map_err(|error| error.error)?)
                .map_err(|path| io::Error::other(format!("the path {} is not UTF-8", path.display())))?;
            file.lock()?;
            // A sweep may have come between making and locking.
            if !same_file(&file, &lock_path) {
                continue;
            }
            let path = lock_path.with_extension("");
            fs::create_dir(&path)?;
            return Ok(Self { path, lock: file });
        }
    }

    /// The folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Its name, which no other build has at the same time.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap_or_default()
    }

    /// Another descriptor of the lock, for a process that lives as long as the build.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn share_lock(&self) -> io::Result<OwnedFd> {
        self.lock.as_fd().try_clone_to_owned()
    }

    /// Notes a file outside the folder that a sweep shall remove too: an artifact under its temporary name.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_partial(&self, path: &Utf8Path) -> io::Result<()> {
        let mut lock: &File = &self.lock;
        writeln!(lock, "{path}")
    }

    /// Removes what is in the folder; its lock and notes stay.
    pub fn empty(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Removes the folder, what was noted, and the lock.
    pub fn remove(self) {
        remove(&self.path, &self.path.with_extension("lock"));
    }
}

fn same_file(file: &File, path: &Utf8Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn remove(folder: &Utf8Path, lock: &Utf8Path) {
    for partial in fs::read_to_string(lock).unwrap_or_default().lines() {
        let _ = fs::remove_file(partial);
    }
    let _ = fs::remove_dir_all(folder);
    let _ = fs::remove_file(lock);
}

/// Removes the folders below `parent` whose builds are gone. Says how many.
pub fn sweep(parent: &Utf8Path) -> usize {
    let mut swept = 0;
    for entry in parent.read_dir_utf8().into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension() != Some("lock") {
            continue;
        }
        let Ok(file) = OpenOptions::new().read(true).write(true).open(lock) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        if same_file(&file, lock) {
            remove(&lock.with_extension(""), lock);
            swept += 1;
        }
    }
    swept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_folder_whose_holder_lives_is_not_swept() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        assert_eq!(sweep(&parent), 0);
        assert!(work.path().is_dir());
    }

    #[test]
    fn a_folder_without_a_holder_is_swept_with_its_partial_files() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let partial = parent.join("image.partial");
        fs::write(&partial, "half").unwrap();
        fs::write(work.path().join("file"), "x").unwrap();
        work.note_partial(&partial).unwrap();
        let path = work.path().to_owned();
        drop(work);
        assert_eq!(sweep(&parent), 1);
        assert!(!path.exists());
        assert!(!partial.exists());
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_shared_with_the_builder_outlives_its_maker() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let shared = work.share_lock().unwrap();
        drop(work);
        assert_eq!(sweep(&parent), 0);
        drop(shared);
        assert_eq!(sweep(&parent), 1);
    }
}
