//! A part of a disk: a partition, or all of it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::InspectError;
use crate::format::reader::Disk;

/// The part.
#[derive(Clone)]
pub struct Window {
    disk: Arc<dyn Disk>,
    start: u64,
    size: u64,
}

impl Window {
    /// All of `disk`.
    pub fn whole(disk: Arc<dyn Disk>) -> Self {
        let size = disk.size();
        Self { disk, start: 0, size }
    }

    /// The `size` bytes of it from `start`, as far as they exist.
    pub fn part(&self, start: u64, size: u64) -> Self {
        let start = start.min(self.size);
        Self { disk: Arc::clone(&self.disk), start: self.start + start, size: size.min(self.size - start) }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// They are not all in it, or the image cannot be read.
    pub fn fill(&self, bytes: &mut [u8], offset: u64) -> Result<(), InspectError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(InspectError::Damaged { what: "disk", reason: "something lies behind its end".into() });
        }
        Ok(self.disk.read_at(bytes, self.start + offset)?)
    }

    /// The `N` bytes at `offset`; zeros where there are none.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn bytes<const N: usize>(&self, offset: u64) -> Result<[u8; N], InspectError> {
        let mut bytes = [0; N];
        let there = self.size.saturating_sub(offset).min(N as u64) as usize;
        self.fill(&mut bytes[..there], offset.min(self.size))?;
        Ok(bytes)
    }
}

/// A window as a device, for libraries that want one. It refuses to be written.
pub struct Device {
    window: Window,
    at: u64,
}

impl Device {
    /// The device of `window`.
    pub fn new(window: Window) -> Self {
        Self { window, at: 0 }
    }
}

impl Read for Device {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.window.size.saturating_sub(self.at).min(bytes.len() as u64) as usize;
        self.window.fill(&mut bytes[..length], self.at.min(self.window.size)).map_err(io::Error::other)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Device {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.window.size.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl Write for Device {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}
