//! Why something on a disk could not be shown.

use crate::format::FormatError;

/// Why something on a disk could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] FormatError),
    /// A structure contradicts itself.
    #[error("the {what} is damaged: {reason}")]
    Damaged {
        /// `partition table`, `ext4 file system`.
        what: &'static str,
        /// How.
        reason: String,
    },
    /// There is no such partition, or nothing in it.
    #[error("there is no partition {number} with anything known in it; {known}")]
    NoPartition {
        /// The number.
        number: u32,
        /// Those that there are.
        known: String,
    },
    /// Nothing on the disk can be looked into.
    #[error(
        "no file system of the image can be looked into: kiln reads ext2, ext3, ext4 and FAT, and found {found}; \
         `kiln convert IMAGE OUT.raw` makes an image that can be attached and mounted"
    )]
    NoFiles {
        /// What is there.
        found: String,
    },
    /// There is no such file.
    #[error("{path}: {reason}")]
    Path {
        /// The path in the image.
        path: String,
        /// Why it cannot be shown.
        reason: String,
    },
    /// What was read cannot be written.
    #[error("cannot write: {0}")]
    Write(std::io::Error),
}
