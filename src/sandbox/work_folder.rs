//! The one folder a build may leave behind, and how the next build takes it away.
//!
//! A work folder `ID` stands beside a file `ID.lock`, locked as long as its build lives (flock; the builder inherits the
//! descriptor). What nobody holds is swept. Not here: what is in the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

/// How the temporary name of an artifact ends.
const PARTIAL: &str = ".kiln-partial";

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

    /// Notes a file outside the folder that a sweep shall remove too: an artifact under its temporary name, which ends in
    /// `.kiln-partial`.
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

    /// Removes the folder, what was noted, and the lock. A text says what could not be removed: it stays for the next sweep.
    pub fn remove(self) -> Option<String> {
        remove(&self.path, &self.path.with_extension("lock")).err()
    }
}

/// What a sweep did.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// How many builds' folders are gone.
    pub removed: usize,
    /// What could not be removed and why, a sentence each.
    pub left: Vec<String>,
}

fn same_file(file: &File, path: &Utf8Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The lock and the notes go last: without them no sweep would find the folder again.
fn remove(folder: &Utf8Path, lock: &Utf8Path) -> Result<(), String> {
    for partial in fs::read_to_string(lock).unwrap_or_default().lines() {
        // The file is anyone's to write to in a shared store: only what can be an artifact's temporary name is removed.
        if partial.ends_with(PARTIAL) {
            let _ = fs::remove_file(partial);
        }
    }
    remove_tree(folder).map_err(|error| {
        format!("cannot remove {folder}, which a build left behind: {error}; the next build tries again, or remove it yourself")
    })?;
    fs::remove_file(lock).map_err(|error| format!("cannot remove {lock}, which a build left behind: {error}"))
}

fn remove_tree(folder: &Utf8Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(folder)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_mutable(folder);
            gone(fs::remove_dir_all(folder))
        }
        other => other,
    }
}

/// Takes away what chattr(1) gave: files that may not be changed, or only be appended to, cannot be removed.
fn make_mutable(folder: &Utf8Path) {
    use rustix::fs::{IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, open};
    for entry in walkdir::WalkDir::new(folder).same_file_system(true).into_iter().flatten() {
        if !(entry.file_type().is_file() || entry.file_type().is_dir()) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = open(entry.path(), flags, Mode::empty()) else { continue };
        let fixed = IFlags::IMMUTABLE | IFlags::APPEND;
        if let Ok(flags) = ioctl_getflags(&file)
            && flags.intersects(fixed)
        {
            let _ = ioctl_setflags(&file, flags - fixed);
        }
    }
}

/// Removes the folders below `parent` whose builds are gone.
pub fn sweep(parent: &Utf8Path) -> Swept {
    let mut swept = Swept::default();
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
            match remove(&lock.with_extension(""), lock) {
                Ok(()) => swept.removed += 1,
                Err(left) => swept.left.push(left),
            }
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
        assert_eq!(sweep(&parent).removed, 0);
        assert!(work.path().is_dir());
    }

    #[test]
    fn a_folder_without_a_holder_is_swept_with_its_partial_files() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let partial = parent.join(".image.kiln-partial");
        fs::write(&partial, "half").unwrap();
        fs::write(work.path().join("file"), "x").unwrap();
        work.note_partial(&partial).unwrap();
        let path = work.path().to_owned();
        drop(work);
        assert_eq!(sweep_soon(&parent).removed, 1);
        assert!(!path.exists());
        assert!(!partial.exists());
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    /// The first sweep within five seconds that finds something to do: a process that another test forks holds every lock until
    /// it executes its program.
    fn sweep_soon(parent: &Utf8Path) -> Swept {
        let mut sweeps = (0..250).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            sweep(parent)
        });
        sweeps.find(|swept| swept.removed > 0 || !swept.left.is_empty()).unwrap_or_default()
    }

    #[test]
    fn a_lock_shared_with_the_builder_outlives_its_maker() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let shared = work.share_lock().unwrap();
        drop(work);
        assert_eq!(sweep(&parent).removed, 0);
        drop(shared);
        assert_eq!(sweep_soon(&parent).removed, 1);
    }

    #[test]
    fn a_note_that_names_another_file_removes_nothing() {
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let precious = parent.join("precious");
        fs::write(&precious, "x").unwrap();
        work.note_partial(&precious).unwrap();
        assert_eq!(work.remove(), None);
        assert!(precious.exists());
    }

    #[test]
    fn files_that_may_not_be_changed_are_removed_too() {
        use rustix::fs::{IFlags, ioctl_setflags};
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let below = work.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("file"), "x").unwrap();
        for path in [below.join("file"), below] {
            // Only root may, and not on every file system.
            if ioctl_setflags(File::open(path).unwrap(), IFlags::IMMUTABLE).is_err() {
                return;
            }
        }
        assert_eq!(work.remove(), None);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_removed_is_said_and_found_again() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (_keep, parent) = parent();
        let work = WorkFolder::create(&parent).unwrap();
        let at = work.path().join("busy");
        fs::create_dir(&at).unwrap();
        drop(work);
        // A mount that only this thread sees cannot be removed by it.
        let seen = parent.clone();
        let first = std::thread::spawn(move || {
            use nix::mount::{MsFlags, mount};
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            mount(Some("tmpfs"), at.as_std_path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
            sweep_soon(&seen)
        });
        let first = first.join().unwrap();
        assert_eq!((first.removed, first.left.len()), (0, 1));
        let second = sweep_soon(&parent);
        assert_eq!((second.removed, second.left), (1, Vec::new()));
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }
}
