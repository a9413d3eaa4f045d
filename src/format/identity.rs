//! What an image says of itself beside the disk: identifiers and a time.
//!
//! In: a seed. Out: identifiers derived from it, so that equal requests make equal bytes. Not here: identifiers within the disk.

use camino::Utf8PathBuf;
use uuid::Uuid;

use super::FormatError;
use super::checksum::Algorithm;
use super::reader::Disk;

/// The namespace of kiln's identifiers of image files.
const NAMESPACE: Uuid = uuid::uuid!("0b5f2c1e-7f0b-5a57-9d0c-6f2f5d0f8a41");
/// Bytes at the beginning of a disk that tell it from others: the partition table with the disk's identifier.
const BEGINNING: u64 = 1 << 20;

/// An image to be written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The file that is written.
    pub file: Utf8PathBuf,
    /// What it will be called, for formats that say it.
    pub name: String,
    /// Size of the disk in bytes.
    pub size: u64,
    /// What identifiers are derived from.
    pub seed: String,
    /// The time of its making, seconds since the epoch.
    pub time: i64,
    /// Digests to compute.
    pub algorithms: Vec<Algorithm>,
}

impl Target {
    /// An image of `disk` in `file`, without a time and without digests.
    #[cfg(test)]
    pub fn of(disk: &dyn Disk, file: &camino::Utf8Path, seed: &str) -> Self {
        Self {
            file: file.to_owned(),
            name: file.file_name().unwrap_or("image").to_owned(),
            size: disk.size(),
            seed: seed.to_owned(),
            time: 0,
            algorithms: Vec::new(),
        }
    }

    /// The identifier for `what`.
    pub fn uuid(&self, what: &str) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{}/{what}", self.seed).as_bytes())
    }
}

/// A seed for an image of a disk of which nobody says where it comes from: a digest of its beginning and its size.
///
/// # Errors
/// The disk cannot be read.
pub fn seed_of(disk: &dyn Disk) -> Result<String, FormatError> {
    let mut beginning = vec![0; disk.size().min(BEGINNING) as usize];
    disk.read_at(&mut beginning, 0)?;
    beginning.extend(disk.size().to_le_bytes());
    Ok(blake3::hash(&beginning).to_hex()[..32].to_owned())
}
