//! Copies folders and files, all that FAT knows, into memory.

use std::fs::{File, FileTimes};

use camino::Utf8Path;

use crate::disk::direct::DiskError;

/// Copies the content of the folder `from` to the folder `to`, with times.
pub(super) fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), DiskError> {
    for entry in from.read_dir_utf8().map_err(DiskError::io("look into", from))? {
        let entry = entry.map_err(DiskError::io("look into", from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let facts = from.symlink_metadata().map_err(DiskError::io("look at", from))?;
        if facts.is_dir() {
            std::fs::create_dir(&to).map_err(DiskError::io("create", &to))?;
            copy(from, &to)?;
        } else if facts.is_file() {
            std::fs::copy(from, &to).map_err(DiskError::io("copy", from))?;
        }
        let set = || {
            let times = FileTimes::new().set_modified(facts.modified()?);
            File::open(&to)?.set_times(times)
        };
        if facts.is_dir() || facts.is_file() {
            set().map_err(DiskError::io("set the times of", &to))?;
        }
    }
    Ok(())
}
