//! The tree as an archive.
//!
//! In: the finished tree. Out: an archive like that of `tar -C TREE --sort=name --xattrs .`, in the pax format of POSIX.1-2001
//! with `SCHILY.xattr.*` records as GNU tar and libarchive read them. Equal trees give equal bytes: names are sorted, times
//! clamped, owners are numbers.
//! Not in it: what is mounted on the tree and is no file system of the image (the folder itself stays), `lost+found` at the top of
//! each, sockets.

mod entry;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use walkdir::WalkDir;

use self::entry::{Entry, Kind};
use super::FormatError;
pub use super::shape::Shape;
use crate::event::{Events, Unit};
use crate::sandbox::command::{Command, Output};
use crate::sandbox::host;
use crate::sandbox::mount::seeing_parts;

/// Bytes between two events of progress.
const PROGRESS: u64 = 16 << 20;

/// Writes the archive to `out`, which errors call `to`, and returns it.
pub fn stream<W: Write + Send>(shape: &Shape<'_>, out: W, to: &Utf8Path, events: &Events) -> Result<W, FormatError> {
    let mut out = Some(out);
    let mut run = |one_file_system| match out.take() {
        Some(out) => archive(shape, out, to, events, one_file_system),
        None => Err(FormatError::io("write", to)(std::io::Error::other("it is written already"))),
    };
    if !host::is_root() {
        return run(true);
    }
    // Binds of the same file system are mounts too, so mounts are taken out of sight rather than told by their device.
    match seeing_parts(shape.tree, shape.parts, || run(false)) {
        Ok(written) => written,
        // A kernel before 5.2, or a tree in another namespace.
        Err(_) if shape.parts.is_empty() => run(true),
        Err(error) => Err(FormatError::io("hide what is mounted on", shape.tree)(error)),
    }
}

/// Runs `command` with the archive as its input.
pub fn pipe(shape: &Shape<'_>, command: Command, format: &'static str, events: &Events) -> Result<Output, FormatError> {
    let to = Utf8PathBuf::from(format!("the input of `{}`", command.line()));
    let (reader, writer) = std::io::pipe().map_err(FormatError::io("make", &to))?;
    thread::scope(|scope| {
        let archive = scope.spawn(|| stream(shape, writer, &to, events).map(drop));
        let ended = command.stdin_pipe(reader).check(events);
        let archived = archive.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A command that failed explains why nobody read the archive.
        let output = ended.map_err(|source| FormatError::Tool { format, source })?;
        archived.map(|()| output)
    })
}

fn archive<W: Write>(
    shape: &Shape<'_>,
    out: W,
    to: &Utf8Path,
    events: &Events,
    one_file_system: bool,
) -> Result<W, FormatError> {
    let (tree, time) = (shape.tree, shape.time);
    let mut archive = Archive {
        out: BufWriter::with_capacity(1 << 20, out),
        to,
        time,
        top: shape.top,
        links: HashMap::new(),
        done: 0,
        said: 0,
        events,
    };
    let left_out: Vec<_> = shape.lost_and_found().into_iter().map(|folder| tree.join(folder)).collect();
    let walk = WalkDir::new(tree).sort_by_file_name().same_file_system(one_file_system).into_iter();
    for found in walk.filter_entry(|found| !left_out.iter().any(|folder| found.path() == folder)) {
        let found = found.map_err(|error| {
            let path = error.path().and_then(Utf8Path::from_path).unwrap_or(tree).to_owned();
            FormatError::io("read", &path)(error.into())
        })?;
        archive.add(tree, found.path(), None)?;
    }
    if let Some((file, name)) = shape.last {
        archive.add(tree, file.as_std_path(), Some(name))?;
    }
    archive.finish()
}

struct Archive<'a, W: Write> {
    out: BufWriter<W>,
    to: &'a Utf8Path,
    time: Option<i64>,
    top: &'a str,
    /// The first name of every file with several, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    done: u64,
    said: u64,
    events: &'a Events,
}

impl<W: Write> Archive<'_, W> {
    /// Adds `path`, by its place in `tree` or as `name`.
    fn add(&mut self, tree: &Utf8Path, path: &Path, name: Option<&str>) -> Result<(), FormatError> {
        // A name that is no UTF-8 is right in the archive and approximate in an error.
        let shown = path.to_string_lossy();
        let reading = |error| FormatError::io("read", Utf8Path::new(&shown))(error);
        let facts = std::fs::symlink_metadata(path).map_err(reading)?;
        if facts.file_type().is_socket() {
            return Ok(());
        }
        let mut entry = Entry::of(tree, path, &facts, self.time).map_err(reading)?;
        match name {
            Some(name) => entry.name = name.into(),
            // Names begin with a dot.
            None => drop(entry.name.splice(..1, self.top.bytes())),
        }
        if facts.nlink() > 1 && !facts.is_dir() {
            let first = self.links.entry((facts.dev(), facts.ino())).or_insert_with(|| entry.name.clone());
            if *first != entry.name {
                entry.become_link_to(first);
            }
        }
        self.out.write_all(&entry.bytes()).map_err(FormatError::io("write", self.to))?;
        if entry.kind == Kind::File {
            let file = File::open(path).map_err(reading)?;
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

    fn finish(mut self) -> Result<W, FormatError> {
        // Two empty blocks end an archive.
        self.out.write_all(&[0; 1024]).map_err(FormatError::io("write", self.to))?;
        self.events.progress("tar", self.done, self.done, Unit::Bytes);
        self.out.into_inner().map_err(|error| FormatError::io("write", self.to)(error.into_error()))
    }
}

enum Copy {
    Read(std::io::Error),
    Write(std::io::Error),
}

#[cfg(test)]
mod tests;
