//! Files of ext2, ext3 and ext4, by the library that reads them.
//!
//! In: a window. Out: entries and content. Checked here is what the library takes memory for before it looks at the size of the disk.

use std::error::Error;
use std::io::Write;

use ext4_view::{Ext4, Ext4Read, FileType, Metadata};

use super::files::{Entry, Kind};
use super::{InspectError, Window, probe};

/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 1 << 20;
/// Groups of blocks, for each of which the library takes memory: with the usual ones of 128 MiB a file system of 64 TiB.
const MOST_GROUPS: u64 = 1 << 19;
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
        Ext4::load(Box::new(Source(window.clone()))).map(Self).map_err(|error| damaged(error.to_string()))
    }

    /// The file at `path`.
    pub fn stat(&self, path: &str) -> Result<Entry, InspectError> {
        let facts = self.0.metadata(path).map_err(about(path))?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Ok(entry(name.to_owned(), &facts))
    }

    /// What is in a folder.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, InspectError> {
        let mut entries = Vec::new();
        for found in self.0.read_dir(path).map_err(about(path))?.take(MOST_ENTRIES) {
            let found = found.map_err(about(path))?;
            let name = found.file_name().display().to_string();
            if name == "." || name == ".." {
                continue;
            }
            let facts = found.metadata().map_err(about(path))?;
            let mut entry = entry(name, &facts);
            if entry.kind == Kind::Link {
                entry.target = self.0.read_link(&found.path()).ok().map(|target| target.display().to_string());
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The content of a file.
    pub fn copy(&self, path: &str, out: &mut dyn Write) -> Result<(), InspectError> {
        let mut file = self.0.open(path).map_err(about(path))?;
        let mut bytes = vec![0; PIECE];
        loop {
            let length = file.read_bytes(&mut bytes).map_err(about(path))?;
            if length == 0 {
                return Ok(());
            }
            out.write_all(&bytes[..length]).map_err(InspectError::Write)?;
        }
    }
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

fn about(path: &str) -> impl Fn(ext4_view::Ext4Error) -> InspectError {
    move |error| InspectError::Path { path: path.to_owned(), reason: error.to_string() }
}
