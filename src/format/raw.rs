//! The disk byte for byte, sparse.
//!
//! In: a disk. Out: a copy with holes where it reads as zeros; or, of a raw image, one that shares its blocks where the file system can,
//! or the image itself when it already is where it should be.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;

use super::FormatError;
use super::identity::Target;
use super::pass::{Coding, Encoded, Sink, Stream, Written};

/// Begins the copy of `target`; `from` is the raw image that is being read, when it is one.
///
/// # Errors
/// The file cannot be made.
pub fn sink(target: &Target, from: Option<&Utf8Path>) -> Result<Box<dyn Sink>, FormatError> {
    let (to, algorithms) = (&target.file, &target.algorithms);
    let stream = match from {
        Some(from) if is_there(from, to)? => Stream::observe(to, algorithms),
        _ => Stream::create(to, algorithms)?,
    };
    Ok(Box::new(Image { stream, size: target.size }))
}

/// Whether `to` is the same disk as the raw image `from`, or could be made so without copying.
pub fn is_there(from: &Utf8Path, to: &Utf8Path) -> Result<bool, FormatError> {
    let source = File::open(from).map_err(FormatError::io("read", from))?;
    let facts = source.metadata().map_err(FormatError::io("read", from))?;
    if let Ok(there) = std::fs::metadata(to)
        && (there.dev(), there.ino()) == (facts.dev(), facts.ino())
    {
        return Ok(true);
    }
    let target = File::create(to).map_err(FormatError::io("create", to))?;
    // Shares the blocks on XFS and Btrfs; everywhere else it fails at once.
    Ok(rustix::fs::ioctl_ficlone(&target, &source).is_ok())
}

struct Image {
    stream: Stream,
    size: u64,
}

impl Sink for Image {
    fn coding(&self) -> Coding {
        Coding::PAGES
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        self.stream.add(encoded, self.size)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FormatError> {
        self.stream.skip_to(self.size);
        self.stream.finish()
    }
}
