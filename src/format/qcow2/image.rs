//! A qcow2 file being written.
//!
//! In: the disk's clusters in rising order, encoded. Out: the file with its tables. All allocation is here, in one thread, so
//! the bytes do not depend on how many compressed. Not here: reading, compressing.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::Options;
use super::header::Header;
use crate::format::FormatError;
use crate::format::pass::{Coding, Encoded, Sink, Unit, Written};

/// Refcount exactly one: the cluster may be written in place.
const COPIED: u64 = 1 << 63;
/// An L2 entry of a compressed cluster.
const COMPRESSED: u64 = 1 << 62;
const SECTOR: u64 = 512;
/// Compressed bytes collected before they are written.
const STREAM_BUFFER: usize = 1 << 20;
/// Bytes of plain clusters collected before they are written. They must be aligned, so each run of them may cost the stream of
/// compressed clusters the rest of a host cluster: long runs keep that below 2 % in the worst case.
const PLAIN_RUN: usize = 4 << 20;

/// The file, its allocation and its tables.
pub struct Image {
    file: File,
    path: Utf8PathBuf,
    size: u64,
    options: Options,
    /// Bytes in a cluster.
    cluster: u64,
    /// Reference count of every host cluster given out; its length is the first free one.
    counts: Vec<u16>,
    /// Where the finished L2 tables are; 0 for those without entries.
    l1: Vec<u64>,
    /// The L2 table that is being filled; it maps clusters of the disk from `l1.len()` times its length.
    table: Vec<u64>,
    stream: Stream,
    /// Plain clusters waiting: indices in the disk, and their bytes one after the other.
    plain: (Vec<u64>, Vec<u8>),
}

/// Compressed clusters, packed one after the other.
#[derive(Default)]
struct Stream {
    /// Where the next byte goes.
    at: u64,
    /// Bytes that are not written yet; they end at `at`.
    buffer: Vec<u8>,
}

impl Sink for Image {
    fn coding(&self) -> Coding {
        let unit = self.cluster as usize;
        // A compressed cluster must save at least a sector.
        Coding { unit, compression: self.options.compression, largest: unit - SECTOR as usize }
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        for (index, unit, bytes) in encoded.units() {
            match unit {
                Unit::Zero => {}
                Unit::Compressed(bytes) => self.add_compressed(index, bytes)?,
                Unit::Plain => self.add_plain(index, bytes)?,
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FormatError> {
        self.end_table()?;
        self.flush_stream()?;
        let tables = self.size.div_ceil(self.cluster * self.cluster / 8);
        // QEMU wants a table even of an empty disk.
        self.l1.resize(tables.max(1) as usize, 0);
        let l1 = std::mem::take(&mut self.l1);
        let l1_offset = self.write_table(&l1)?;
        let (refcount_offset, refcount_clusters) = self.write_counts()?;
        let l1_entries = l1.len() as u32;
        let (size, options) = (self.size, self.options);
        let header = Header { size, l1_entries, l1_offset, refcount_offset, refcount_clusters, options };
        self.write_at(&header.bytes(), 0)?;
        // Whole clusters only: QEMU reads whole sectors of compressed data, and whole tables.
        let length = self.counts.len() as u64 * self.cluster;
        self.file.set_len(length).map_err(FormatError::io("write", &self.path))?;
        Ok(Written { size: length, digests: None })
    }
}

impl Image {
    /// An empty image of a disk of `size` bytes.
    pub fn new(file: File, path: &Utf8Path, size: u64, options: Options) -> Self {
        let cluster = 1 << options.cluster_bits;
        Self {
            file,
            path: path.to_owned(),
            size,
            options,
            cluster,
            // The header's cluster.
            counts: vec![1],
            l1: Vec::new(),
            table: vec![0; cluster as usize / 8],
            stream: Stream::default(),
            plain: (Vec::new(), Vec::new()),
        }
    }

    fn add_plain(&mut self, index: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.begin_table_of(index)?;
        self.plain.0.push(index);
        self.plain.1.extend_from_slice(bytes);
        if self.plain.1.len() >= PLAIN_RUN { self.flush_plain() } else { Ok(()) }
    }

    fn add_compressed(&mut self, index: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.begin_table_of(index)?;
        let length = bytes.len() as u64;
        let room = self.stream.at.next_multiple_of(self.cluster) - self.stream.at;
        if length > room {
            let next = self.allocate(1, 0);
            if next != self.stream.at + room || self.stream.at == 0 {
                self.flush_stream()?;
                self.stream.at = next;
            }
        }
        let offset = self.stream.at;
        self.stream.at += length;
        self.stream.buffer.extend_from_slice(bytes);
        // A host cluster counts every compressed cluster that touches it.
        for host in offset / self.cluster..=(self.stream.at - 1) / self.cluster {
            self.counts[host as usize] += 1;
        }
        let sectors = (offset % SECTOR + length).div_ceil(SECTOR);
        // Where the number of further sectors starts in such an entry.
        let shift = 62 - (self.options.cluster_bits - 8);
        self.map(index, COMPRESSED | ((sectors - 1) << shift) | offset);
        if self.stream.buffer.len() >= STREAM_BUFFER { self.flush_stream() } else { Ok(()) }
    }

    fn flush_stream(&mut self) -> Result<(), FormatError> {
        let start = self.stream.at - self.stream.buffer.len() as u64;
        self.write_at(&self.stream.buffer, start)?;
        self.stream.buffer.clear();
        Ok(())
    }

    fn flush_plain(&mut self) -> Result<(), FormatError> {
        let (indices, bytes) = std::mem::take(&mut self.plain);
        if indices.is_empty() {
            return Ok(());
        }
        let mut offset = self.allocate(indices.len() as u64, 1);
        self.write_at(&bytes, offset)?;
        for index in indices {
            self.map(index, COPIED | offset);
            offset += self.cluster;
        }
        Ok(())
    }

    /// Gives out `number` host clusters at the end of the file; returns the offset of the first.
    fn allocate(&mut self, number: u64, count: u16) -> u64 {
        let first = self.counts.len();
        self.counts.resize(first + number as usize, count);
        first as u64 * self.cluster
    }

    /// Writes the L2 tables before that of the disk's cluster `index`: indices rise.
    fn begin_table_of(&mut self, index: u64) -> Result<(), FormatError> {
        let wanted = (index / self.table.len() as u64) as usize;
        while self.l1.len() < wanted {
            self.end_table()?;
        }
        Ok(())
    }

    fn end_table(&mut self) -> Result<(), FormatError> {
        self.flush_plain()?;
        if self.table.iter().all(|entry| *entry == 0) {
            self.l1.push(0);
            return Ok(());
        }
        let mut table = std::mem::take(&mut self.table);
        let offset = self.write_table(&table)?;
        table.fill(0);
        self.table = table;
        self.l1.push(COPIED | offset);
        Ok(())
    }

    fn map(&mut self, index: u64, entry: u64) {
        let length = self.table.len() as u64;
        self.table[(index % length) as usize] = entry;
    }

    /// Writes the reference counts, which count themselves; returns offset and clusters of the table of their blocks.
    fn write_counts(&mut self) -> Result<(u64, u32), FormatError> {
        let used = self.counts.len() as u64;
        let (mut blocks, mut table) = (0, 0);
        loop {
            let needed = (used + blocks + table).div_ceil(self.cluster / 2);
            let needed_table = (needed * 8).div_ceil(self.cluster);
            if (needed, needed_table) == (blocks, table) {
                break;
            }
            (blocks, table) = (needed, needed_table);
        }
        let first_block = self.allocate(blocks, 1);
        let table_offset = self.allocate(table, 1);
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        self.write_at(&counts, first_block)?;
        let entries = (0..blocks).flat_map(|block| (first_block + block * self.cluster).to_be_bytes());
        self.write_at(&entries.collect::<Vec<u8>>(), table_offset)?;
        Ok((table_offset, table as u32))
    }

    /// Writes a table in clusters of its own; returns its offset.
    fn write_table(&mut self, table: &[u64]) -> Result<u64, FormatError> {
        let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        let offset = self.allocate((bytes.len() as u64).div_ceil(self.cluster), 1);
        self.write_at(&bytes, offset)?;
        Ok(offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), FormatError> {
        self.file.write_all_at(bytes, offset).map_err(FormatError::io("write", &self.path))
    }
}
