//! Files of ext2, ext3 and ext4, by the library that reads them.
//!
//! In: a window. Out: entries and content. Checked here is what the library takes memory for before it looks at the size of the disk,
//! and what it panics at: it is called with names that can be, on paths without symbolic links, and a panic ends in an error.

use std::error::Error;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, Metadata};

use super::files::{Entry, Kind};
use super::{InspectError, Window, probe};

/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 1 << 20;
/// Groups of blocks, for each of which the library takes memory: with the usual ones of 128 MiB a file system of 64 TiB.
const MOST_GROUPS: u64 = 1 << 19;
/// Bytes of the largest folder: 4 KiB for each of the most entries would be more.
const LARGEST_FOLDER: u64 = 1 << 30;
/// Bytes of the longest name, which the library takes for granted.
const LONGEST_NAME: usize = 255;
/// Folders in folders, and steps on a way through symbolic links; Linux follows 40 of them.
const DEEPEST: usize = 256;
const MOST_STEPS: usize = 2048;
const MOST_LINKS: usize = 40;
/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// A file system.
pub struct Ext(Ext4);

struct Source(Window);

impl Ext4Read for Source {
    fn read(&mut self, start: u64, bytes: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        self.0.fill(bytes, start).map_err(|error| error.to_string().into())
    }
}

impl Ext {
    /// Opens the file system in `window`.
    pub fn open(window: &Window) -> Result<Self, InspectError> {
        let damaged = |reason: String| InspectError::Damaged { what: "ext file system", reason };
        let fits = |geometry: probe::ExtGeometry| {
            let bytes = geometry.blocks.checked_mul(geometry.block);
            let groups = geometry.blocks.checked_div(geometry.group);
            bytes.is_some_and(|bytes| bytes <= window.size()) && groups.is_some_and(|groups| groups <= MOST_GROUPS)
        };
        if !probe::ext_geometry(window)?.is_some_and(fits) {
            return Err(damaged("it is larger than its partition, or has more groups than any".into()));
        }
        let source = Box::new(Source(window.clone()));
        let opened = catch_unwind(AssertUnwindSafe(|| Ext4::load(source)));
        opened.map_err(|_| gave_up())?.map(Self).map_err(|error| damaged(error.to_string()))
    }

    /// The file at `path`.
    pub fn stat(&self, path: &str) -> Result<Entry, InspectError> {
        let (_, facts) = self.resolve(path)?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Ok(entry(name.to_owned(), &facts))
    }

    /// What is in a folder.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, InspectError> {
        let (place, facts) = self.resolve(path)?;
        if facts.is_dir() && facts.len() > LARGEST_FOLDER {
            return Err(InspectError::Path { path: path.to_owned(), reason: "the folder is impossibly large".into() });
        }
        guarded(path, || {
            let mut entries = Vec::new();
            for found in self.0.read_dir(place.as_str())? {
                let found = found?;
                let name = found.file_name().display().to_string();
                if name == "." || name == ".." {
                    continue;
                }
                let facts = found.metadata()?;
                let mut entry = entry(name, &facts);
                if entry.kind == Kind::Link {
                    entry.target = self.0.read_link(&found.path()).ok().map(|target| target.display().to_string());
                }
                entries.push(entry);
                if entries.len() > MOST_ENTRIES {
                    return Ok(None);
                }
            }
            Ok(Some(entries))
        })?
        .ok_or_else(|| InspectError::Path {
            path: path.to_owned(),
            reason: format!("it has more than {MOST_ENTRIES} entries"),
        })
    }

    /// The content of a file.
    pub fn copy(&self, path: &str, out: &mut dyn Write) -> Result<(), InspectError> {
        let (place, _) = self.resolve(path)?;
        let mut file = guarded(path, || self.0.open(place.as_str()))?;
        let mut bytes = vec![0; PIECE];
        loop {
            let length = guarded(path, || file.read_bytes(&mut bytes))?;
            if length == 0 {
                return Ok(());
            }
            out.write_all(&bytes[..length]).map_err(InspectError::Write)?;
        }
    }

    /// The path of the same file without symbolic links, and what the file is.
    fn resolve(&self, path: &str) -> Result<(String, Metadata), InspectError> {
        let wrong = |reason: &str| InspectError::Path { path: path.to_owned(), reason: reason.to_owned() };
        // What is still to be walked, the next name last.
        let mut left: Vec<String> = names(path);
        let mut walked: Vec<String> = Vec::new();
        let (mut links, mut steps) = (0, 0);
        let place = |walked: &[String]| format!("/{}", walked.join("/"));
        let mut facts = guarded(path, || self.0.symlink_metadata("/"))?;
        while let Some(name) = left.pop() {
            steps += 1;
            if name.len() > LONGEST_NAME || walked.len() >= DEEPEST || steps > MOST_STEPS {
                return Err(wrong("the path, or a symbolic link on it, is too long"));
            }
            match name.as_str() {
                "." => continue,
                ".." => drop(walked.pop()),
                _ => walked.push(name),
            }
            let here = place(&walked);
            facts = guarded(path, || self.0.symlink_metadata(here.as_str()))?;
            if facts.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(wrong("too many symbolic links lead there"));
                }
                let target = guarded(path, || self.0.read_link(here.as_str()))?;
                let target = target.to_str().map_err(|_| wrong("a symbolic link on it is no text"))?;
                if target.starts_with('/') {
                    walked.clear();
                } else {
                    walked.pop();
                }
                left.extend(names(target));
                let here = place(&walked);
                facts = guarded(path, || self.0.symlink_metadata(here.as_str()))?;
            } else if !left.is_empty() && !facts.is_dir() {
                return Err(wrong("a part of the path is no folder"));
            }
        }
        Ok((place(&walked), facts))
    }
}

/// The names in a path, the first last.
fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).rev().map(str::to_owned).collect()
}

/// What the library answers. It asserts what a damaged image can make false.
fn guarded<T>(path: &str, work: impl FnOnce() -> Result<T, Ext4Error>) -> Result<T, InspectError> {
    let reason = |reason| InspectError::Path { path: path.to_owned(), reason };
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| gave_up())?.map_err(|error| reason(error.to_string()))
}

fn gave_up() -> InspectError {
    InspectError::Damaged { what: "ext file system", reason: "the library that reads it gave up".into() }
}

fn entry(name: String, facts: &Metadata) -> Entry {
    let kind = match facts.file_type() {
        FileType::Regular => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    let (mode, uid, gid) = (Some(facts.mode()), Some(facts.uid()), Some(facts.gid()));
    Entry { name, kind, size: facts.len(), mode, uid, gid, target: None }
}
