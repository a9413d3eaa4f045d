//! A folder of the host, copied into the tree.
//!
//! In: the folder, a place in the image. Out: its content there; what the image has beside it stays. A symlink stays a symlink,
//! read in the image. A folder of the image that is a symlink to one stays that, too: `/lib` of a merged `/usr` is not replaced.
//! Not here: which folder.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::PlumbingError;
use crate::event::Events;
use crate::target::tree::Tree;
use crate::target::{Attributes, FileKind, Target};

/// What of the host's files the image gets beside their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing but the mode without write bits for others; root owns the files. An existing file or folder keeps its mode.
    Mode,
    /// Mode, owner and time stamp: an archive was unpacked.
    All,
}

/// Copies what is in the folder `from` to `to`, without what `skip` says of a name and whether it is a folder.
pub fn folder(
    tree: &Tree,
    from: &Utf8Path,
    to: &Utf8Path,
    keep: Keep,
    events: &Events,
    skip: impl Fn(&str, bool) -> bool,
) -> Result<(), PlumbingError> {
    let walk = walkdir::WalkDir::new(from).sort_by_file_name().into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !skip(&entry.file_name().to_string_lossy(), entry.file_type().is_dir())
    });
    for entry in walk {
        let entry = entry.map_err(|error| PlumbingError::host("read", from)(error.into()))?;
        let path = Utf8PathBuf::try_from(entry.path().to_owned()).map_err(|error| {
            PlumbingError::wrong(format!("the name {:?} is not UTF-8; rename the file", error.as_path()))
        })?;
        let below = path.strip_prefix(from).unwrap_or(Utf8Path::new(""));
        let at = if below.as_str().is_empty() { to.to_owned() } else { to.join(below) };
        let metadata = path.symlink_metadata().map_err(PlumbingError::host("read", &*path))?;
        one(tree, &path, &metadata, &at, keep, events)?;
    }
    Ok(())
}

/// Copies what is at `path`, without what is in it.
pub fn one(
    tree: &Tree,
    path: &Utf8Path,
    metadata: &Metadata,
    at: &Utf8Path,
    keep: Keep,
    events: &Events,
) -> Result<(), PlumbingError> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let to = path.read_link_utf8().map_err(PlumbingError::host("read", path))?;
        return Ok(tree.symlink(&to, at)?);
    }
    let attributes = attributes(metadata, keep);
    if kind.is_dir() {
        let there = tree.stat(&tree.resolve(at, true)?)?;
        match there.map(|stat| stat.kind) {
            Some(FileKind::Directory) if keep == Keep::Mode => return Ok(()),
            Some(FileKind::Directory) | None => {}
            Some(_) => tree.remove(at)?,
        }
        return Ok(tree.make_dir(at, attributes)?);
    }
    if !kind.is_file() {
        events.warn(format!("{path} is a device, socket or pipe, which is not copied into the image"));
        return Ok(());
    }
    let kept = keep == Keep::Mode && tree.stat(at)?.is_some_and(|stat| stat.kind == FileKind::File);
    let attributes = if kept { Attributes { mode: None, ..attributes } } else { attributes };
    let mut file = File::open(path).map_err(PlumbingError::host("read", path))?;
    let modified = if keep == Keep::All { metadata.modified().ok() } else { None };
    Ok(tree.write_from(at, &mut file, modified, attributes)?)
}

fn attributes(metadata: &Metadata, keep: Keep) -> Attributes {
    let mode = metadata.mode() & 0o7777;
    match keep {
        Keep::Mode => Attributes { mode: Some(mode & 0o755), owner: Some("0".to_owned()), group: Some("0".to_owned()) },
        Keep::All => Attributes {
            mode: Some(mode),
            owner: Some(metadata.uid().to_string()),
            group: Some(metadata.gid().to_string()),
        },
    }
}
