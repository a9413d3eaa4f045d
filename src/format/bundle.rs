//! An archive of a few files, one of which is written before its length and name are known.
//!
//! In: files. Out: a tar archive (ustar), equal for equal files. The header of a long member is written when the member has
//! ended, so that a layer is compressed and hashed once, straight into its place. Not here: trees (`tar`).

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use ::tar::{EntryType, Header};
use camino::{Utf8Path, Utf8PathBuf};

use super::FormatError;

/// Bytes in a block.
const BLOCK: u64 = 512;

/// The archive.
pub struct Bundle {
    file: File,
    path: Utf8PathBuf,
    time: u64,
    at: u64,
}

impl Bundle {
    /// A new archive at `path` whose members bear `time`, seconds since the epoch.
    pub fn create(path: &Utf8Path, time: Option<i64>) -> Result<Self, FormatError> {
        let file = File::create(path).map_err(FormatError::io("create", path))?;
        Ok(Self { file, path: path.to_owned(), time: u64::try_from(time.unwrap_or(0)).unwrap_or(0), at: 0 })
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormatError> {
        self.put(self.header(name, bytes.len() as u64, EntryType::Regular).as_bytes())?;
        self.put(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Adds a folder.
    pub fn add_folder(&mut self, name: &str) -> Result<(), FormatError> {
        self.put(self.header(name, 0, EntryType::Directory).as_bytes())
    }

    /// Adds a file that `write` writes and then names.
    pub fn add_long<T>(
        &mut self,
        write: impl FnOnce(BufWriter<File>) -> Result<(String, u64, T), FormatError>,
    ) -> Result<T, FormatError> {
        let failed = |error| FormatError::io("write", &self.path)(error);
        let start = self.at;
        let mut file = self.file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(start + BLOCK)).map_err(failed)?;
        let (name, length, result) = write(BufWriter::with_capacity(1 << 20, file))?;
        let header = self.header(&name, length, EntryType::Regular);
        self.file.write_all_at(header.as_bytes(), start).map_err(failed)?;
        self.at = start + BLOCK + length;
        self.pad(length)?;
        Ok(result)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<(), FormatError> {
        self.put(&[0; 2 * BLOCK as usize])?;
        self.file.flush().map_err(FormatError::io("write", &self.path))
    }

    fn pad(&mut self, length: u64) -> Result<(), FormatError> {
        let padding = (length.next_multiple_of(BLOCK) - length) as usize;
        self.put(&[0; BLOCK as usize][..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.file.write_all_at(bytes, self.at).map_err(FormatError::io("write", &self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn header(&self, name: &str, length: u64, kind: EntryType) -> Header {
        // GNU's form has a place for lengths of more than 8 GiB, which every reader knows.
        let mut header = if length < 1 << 33 { Header::new_ustar() } else { Header::new_gnu() };
        let bytes = name.as_bytes();
        let room = bytes.len().min(100);
        header.as_old_mut().name[..room].copy_from_slice(&bytes[..room]);
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(length);
        header.set_cksum();
        header
    }
}
