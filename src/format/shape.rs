//! What of the tree goes into a file, and under which names.

use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use walkdir::WalkDir;

/// A tree to be archived.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Its root.
    pub tree: &'a Utf8Path,
    /// Folders in it on which file systems of the image are mounted: their content belongs to it; other mounts do not.
    pub parts: &'a [Utf8PathBuf],
    /// What its root is called in the archive: `.`.
    pub top: &'a str,
    /// No time stamp is later (seconds since the epoch).
    pub time: Option<i64>,
    /// A file that follows the tree, and its name in the archive.
    pub last: Option<(&'a Utf8Path, &'a str)>,
}

impl Shape<'_> {
    /// The folders of `e2fsck` at the top of each file system, relative to the tree.
    pub fn lost_and_found(&self) -> Vec<String> {
        let below = |part: &Utf8PathBuf| Some(part.strip_prefix(self.tree).ok()?.join("lost+found").into_string());
        let parts = self.parts.iter().filter_map(below);
        std::iter::once("lost+found".to_owned()).chain(parts).collect()
    }

    /// The time of a file system that is made of the tree: what was asked for, or that of its latest file, which clamps nothing. The
    /// clock would make two images of one tree differ.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn latest(&self) -> io::Result<i64> {
        if let Some(time) = self.time {
            return Ok(time);
        }
        let left_out: Vec<_> = self.lost_and_found().into_iter().map(|folder| self.tree.join(folder)).collect();
        let mut latest = 0;
        let walk = WalkDir::new(self.tree).into_iter();
        for found in walk.filter_entry(|found| !left_out.iter().any(|folder| found.path() == folder)) {
            latest = latest.max(found?.metadata()?.mtime());
        }
        Ok(latest)
    }
}
