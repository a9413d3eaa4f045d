//! The tree as an archive.
//!
//! In: the finished tree. Out: an archive like that of `tar -C TREE --sort=name --xattrs .`, in the pax format of POSIX.1-2001
//! with `SCHILY.xattr.*` records as GNU tar and libarchive read them. Equal trees give equal bytes: names are sorted, times
//! clamped, owners are numbers.
//! Not in it: what is mounted on the tree (the folder itself stays), `lost+found` at its top, sockets.

mod entry;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use camino::Utf8Path;
use walkdir::{DirEntry, WalkDir};

use self::entry::{Entry, Kind};
use super::FormatError;
use crate::event::{Events, Unit};

/// Bytes between two events of progress.
const PROGRESS: u64 = 16 << 20;

/// Archives the tree at `tree` in `to`. No time stamp is later than `time`, in seconds since the epoch.
pub fn write(tree: &Utf8Path, to: &Utf8Path, time: Option<i64>, events: &Events) -> Result<(), FormatError> {
    let file = File::create(to).map_err(FormatError::io("create", to))?;
    let mut archive = Archive {
        out: BufWriter::with_capacity(1 << 20, file),
        to,
        time,
        links: HashMap::new(),
        done: 0,
        said: 0,
        events,
    };
    let walk = WalkDir::new(tree).sort_by_file_name().same_file_system(true).into_iter();
    for found in walk.filter_entry(|found| !(found.depth() == 1 && found.file_name() == "lost+found")) {
        let found = found.map_err(|error| {
            let path = error.path().and_then(Utf8Path::from_path).unwrap_or(tree).to_owned();
            FormatError::io("read", &path)(error.into())
        })?;
        archive.add(tree, &found)?;
    }
    archive.finish()
}

struct Archive<'a> {
    out: BufWriter<File>,
    to: &'a Utf8Path,
    time: Option<i64>,
    /// The first name of every file with several, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    done: u64,
    said: u64,
    events: &'a Events,
}

impl Archive<'_> {
    fn add(&mut self, tree: &Utf8Path, found: &DirEntry) -> Result<(), FormatError> {
        // A name that is no UTF-8 is right in the archive and approximate in an error.
        let shown = found.path().to_string_lossy();
        let reading = |error| FormatError::io("read", Utf8Path::new(&shown))(error);
        let facts = std::fs::symlink_metadata(found.path()).map_err(reading)?;
        if facts.file_type().is_socket() {
            return Ok(());
        }
        let mut entry = Entry::of(tree, found.path(), &facts, self.time).map_err(reading)?;
        if facts.nlink() > 1 && !facts.is_dir() {
            let first = self.links.entry((facts.dev(), facts.ino())).or_insert_with(|| entry.name.clone());
            if *first != entry.name {
                entry.become_link_to(first);
            }
        }
        self.out.write_all(&entry.bytes()).map_err(FormatError::io("write", self.to))?;
        if entry.kind == Kind::File {
            let file = File::open(found.path()).map_err(reading)?;
            self.copy(file, entry.size).map_err(|error| match error {
                Copy::Read(error) => reading(error),
                Copy::Write(error) => FormatError::io("write", self.to)(error),
            })?;
        }
        Ok(())
    }

    /// Copies exactly `size` bytes and pads them to whole blocks.
    fn copy(&mut self, mut file: File, size: u64) -> Result<(), Copy> {
        let mut buffer = vec![0; size.clamp(1, 1 << 18) as usize];
        let mut left = size;
        while left > 0 {
            let part = left.min(buffer.len() as u64) as usize;
            file.read_exact(&mut buffer[..part]).map_err(Copy::Read)?;
            self.out.write_all(&buffer[..part]).map_err(Copy::Write)?;
            left -= part as u64;
            self.done += part as u64;
            if self.done - self.said >= PROGRESS {
                self.said = self.done;
                self.events.progress("tar", self.done, 0, Unit::Bytes);
            }
        }
        self.out.write_all(entry::padding(size)).map_err(Copy::Write)
    }

    fn finish(mut self) -> Result<(), FormatError> {
        // Two empty blocks end an archive.
        self.out.write_all(&[0; 1024]).map_err(FormatError::io("write", self.to))?;
        self.out.flush().map_err(FormatError::io("write", self.to))?;
        self.events.progress("tar", self.done, self.done, Unit::Bytes);
        Ok(())
    }
}

enum Copy {
    Read(std::io::Error),
    Write(std::io::Error),
}

#[cfg(test)]
mod tests;
