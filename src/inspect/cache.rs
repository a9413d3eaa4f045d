//! The pages of a disk that were read lately: file systems are read in small pieces, images decompressed in large ones.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::FormatError;
use crate::format::reader::Disk;

/// Bytes in a page.
const PAGE: u64 = 64 << 10;
/// Pages that are kept: 8 MiB.
const KEPT: usize = 128;

/// A disk with a cache.
pub struct Cached {
    disk: Box<dyn Disk>,
    pages: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl Cached {
    /// A cache of `disk`.
    pub fn new(disk: Box<dyn Disk>) -> Self {
        Self { disk, pages: Mutex::new(VecDeque::new()) }
    }

    fn page(&self, number: u64) -> Result<Arc<Vec<u8>>, FormatError> {
        let lock = || self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = lock().iter().find(|(known, _)| *known == number) {
            return Ok(Arc::clone(page));
        }
        let start = number * PAGE;
        let mut bytes = vec![0; self.size().saturating_sub(start).min(PAGE) as usize];
        self.disk.read_at(&mut bytes, start)?;
        let page = Arc::new(bytes);
        let mut pages = lock();
        pages.push_front((number, Arc::clone(&page)));
        pages.truncate(KEPT);
        Ok(page)
    }
}

impl Disk for Cached {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        self.disk.next_data(from)
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), FormatError> {
        while !bytes.is_empty() {
            let page = self.page(offset / PAGE)?;
            let within = (offset % PAGE) as usize;
            let length = page.len().saturating_sub(within).min(bytes.len());
            if length == 0 {
                // Behind the end: let the disk say so.
                return self.disk.read_at(bytes, offset);
            }
            let (part, rest) = bytes.split_at_mut(length);
            part.copy_from_slice(&page[within..within + length]);
            bytes = rest;
            offset += length as u64;
        }
        Ok(())
    }
}
