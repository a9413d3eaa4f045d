//! QEMU's image format, versions 2 and 3, written in this process.
//!
//! In: a disk. Out: a qcow2 file as QEMU's `docs/interop/qcow2` describes it: clusters of 64 KiB unless said otherwise, 16-bit
//! reference counts, clusters of zeros left out, the others compressed (deflate in a 4 KiB window, or zstd) unless they do not
//! shrink. The bytes depend on the disk's content and the options alone.
//! Not here: reading the disk and compressing (`pass`), the file's final name.
//!
//! ```text
//! header | data clusters, compressed ones packed byte by byte, each L2 table behind what it maps | L1 table | refcount blocks |
//! refcount table
//! ```

mod header;
mod image;
mod options;

use super::FormatError;
use super::identity::Target;
use super::pass::{Compression, Sink};
use image::Image;
pub use options::Options;

/// The version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `compat=0.10`: QEMU before 1.1 reads it; deflate only.
    Two,
    /// `compat=1.1`.
    Three,
}

/// Base-2 logarithm of QEMU's own size of clusters.
const CLUSTER_BITS: u32 = 16;
/// The largest L1 table that QEMU accepts, bytes.
const LARGEST_L1: u64 = 32 << 20;

/// Begins the image of `target`. A size that is no multiple of 512 is rounded up, as QEMU does.
///
/// # Errors
/// The disk is too large, or the file cannot be made.
pub fn sink(target: &Target, options: &Options) -> Result<Box<dyn Sink>, FormatError> {
    let size = target.size;
    // An L2 table is one cluster of 8-byte entries.
    let coverage = (1_u64 << options.cluster_bits) * (1 << (options.cluster_bits - 3));
    if size.div_ceil(coverage) * 8 > LARGEST_L1 {
        return Err(FormatError::TooLarge { path: target.file.clone(), size, format: "qcow2" });
    }
    let file = std::fs::File::create(&target.file).map_err(FormatError::io("create", &target.file))?;
    Ok(Box::new(Image::new(file, &target.file, size.next_multiple_of(512), *options)))
}

#[cfg(test)]
pub mod tests;
