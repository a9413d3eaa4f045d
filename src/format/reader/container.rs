//! The file of an image, read at offsets that the file itself names.

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::format::FormatError;
use crate::format::error::ImageFault;

/// The most that a table of a file may take in memory.
const LARGEST_TABLE: u64 = 64 << 20;

/// The file.
pub struct Container {
    file: File,
    path: Utf8PathBuf,
    length: u64,
    format: &'static str,
}

impl Container {
    /// Opens the file at `path`, which errors call a `format`.
    pub fn open(path: &Utf8Path, format: &'static str) -> Result<Self, FormatError> {
        use std::io::{Seek, SeekFrom};
        // Before it is opened: a pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(FormatError::io("read", path))?.file_type();
        if kind.is_dir() {
            let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(FormatError::io("read", path)(error));
        }
        if !kind.is_file() && !kind.is_block_device() {
            let error = std::io::Error::other("it is neither a file nor a disk");
            return Err(FormatError::io("read", path)(error));
        }
        let mut file = File::open(path).map_err(FormatError::io("read", path))?;
        // A block device's metadata has no length.
        let length = file.seek(SeekFrom::End(0)).map_err(FormatError::io("read", path))?;
        Ok(Self { file, path: path.to_owned(), length, format })
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// An error of the system's about it.
    pub fn failed(&self, error: std::io::Error) -> FormatError {
        FormatError::io("read", &self.path)(error)
    }

    /// An error: the file contradicts its format.
    pub fn damaged(&self, what: &'static str) -> FormatError {
        self.fault(ImageFault::Damaged(what))
    }

    /// An error: the file has something that is not read here.
    pub fn unsupported(&self, what: &'static str) -> FormatError {
        self.fault(ImageFault::Unsupported(what))
    }

    fn fault(&self, fault: ImageFault) -> FormatError {
        FormatError::Image { path: self.path.clone(), format: self.format, fault }
    }

    /// Fills `bytes` from `offset`.
    pub fn fill(&self, bytes: &mut [u8], offset: u64) -> Result<(), FormatError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.length) {
            return Err(self.damaged("it ends too early"));
        }
        self.file.read_exact_at(bytes, offset).map_err(|error| self.failed(error))
    }

    /// Refuses more tables of `length` bytes each than the file has room for. Each is read once in a walk through the disk: a few that are
    /// named again and again would make it one without end.
    pub fn check_tables(&self, number: usize, length: u64) -> Result<(), FormatError> {
        let bytes = (number as u64).saturating_mul(length);
        // The last may be cut off by the end of the file.
        if bytes <= self.length.saturating_add(length) { Ok(()) } else { Err(self.damaged("its tables are shared")) }
    }

    /// `length` bytes at `offset`: a table, which must not be larger than any sensible one.
    pub fn table(&self, offset: u64, length: u64) -> Result<Vec<u8>, FormatError> {
        if length > LARGEST_TABLE {
            return Err(self.unsupported("a table of more than 64 MiB"));
        }
        // Nothing is reserved for bytes that the file has not.
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(self.damaged("a table lies behind its end"));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Big-endian numbers at an offset of bytes that are long enough.
pub mod be {
    /// 16 bits.
    pub fn u16(bytes: &[u8], at: usize) -> u16 {
        u16::from_be_bytes(super::array(bytes, at))
    }

    /// 32 bits.
    pub fn u32(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(super::array(bytes, at))
    }

    /// 64 bits.
    pub fn u64(bytes: &[u8], at: usize) -> u64 {
        u64::from_be_bytes(super::array(bytes, at))
    }
}

/// Little-endian numbers at an offset of bytes that are long enough.
pub mod le {
    /// 16 bits.
    pub fn u16(bytes: &[u8], at: usize) -> u16 {
        u16::from_le_bytes(super::array(bytes, at))
    }

    /// 32 bits.
    pub fn u32(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(super::array(bytes, at))
    }

    /// 64 bits.
    pub fn u64(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(super::array(bytes, at))
    }
}

/// The bytes at `at`; zeros for those that are not there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        array.copy_from_slice(found);
    }
    array
}
