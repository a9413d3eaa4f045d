//! Files that are too large to hold in memory, on their way into the tree.
//!
//! In: a file of the host. Out: the same content in the image, with the safety of [`Tree`]'s other writes. Not here: folders.

use std::fs::File;
use std::time::SystemTime;

use camino::Utf8Path;

use super::tree::Tree;
use super::{Attributes, TargetError};

impl Tree {
    /// As [`Target::write`](super::Target::write), with all that is left of `from`; `modified` becomes the file's time stamp.
    ///
    /// # Errors
    /// As `write`, and when `from` cannot be read.
    pub fn write_from(
        &self,
        path: &Utf8Path,
        from: &mut File,
        modified: Option<SystemTime>,
        attributes: Attributes,
    ) -> Result<(), TargetError> {
        self.replace(path, attributes, |file| {
            std::io::copy(from, file)?;
            modified.map_or(Ok(()), |time| file.set_modified(time))
        })
    }
}
