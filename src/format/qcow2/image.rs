//! A qcow2 file being written.
//!
//! In: the disk's clusters in rising order, encoded. Out: the file with its tables. All allocation is here, in one thread, so
//! the bytes do not depend on how many compressed. Not here: reading, compressing.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::cluster::Cluster;
use super::header::Header;
use super::{CLUSTER, Compression, L2_COVERAGE, L2_ENTRIES};
use crate::format::FormatError;

/// Refcount exactly one: the cluster may be written in place.
const COPIED: u64 = 1 << 63;
/// An L2 entry of a compressed cluster.
const COMPRESSED: u64 = 1 << 62;
/// Where the number of further sectors starts in such an entry: 62 - (cluster bits - 8).
const SECTORS_SHIFT: u32 = 54;
const SECTOR: u64 = 512;
/// Compressed bytes collected before they are written.
const STREAM_BUFFER: usize = 1 << 20;
/// Plain clusters collected before they are written. They must be aligned, so each run of them may cost the stream of
/// compressed clusters the rest of a host cluster: long runs keep that below 2 % in the worst case.
const PLAIN_RUN: usize = 64;
/// Reference counts in a block of one cluster.
const COUNTS_PER_BLOCK: u64 = CLUSTER / 2;

/// The file, its allocation and its tables.
pub struct Image {
    file: File,
    path: Utf8PathBuf,
    size: u64,
    compression: Compression,
    /// Reference count of every host cluster given out; its length is the first free one.
    counts: Vec<u16>,
    /// L2 tables, those without entries absent.
    tables: Vec<Option<Vec<u64>>>,
    stream: Stream,
    /// Plain clusters waiting: (index in the disk, bytes).
    plain: Vec<(u64, Vec<u8>)>,
}

/// Compressed clusters, packed one after the other.
#[derive(Default)]
struct Stream {
    /// Where the next byte goes.
    at: u64,
    /// Bytes that are not written yet; they end at `at`.
    buffer: Vec<u8>,
}

impl Image {
    /// An empty image of a disk of `size` bytes.
    pub fn new(file: File, path: &Utf8Path, size: u64, compression: Compression) -> Self {
        Self {
            file,
            path: path.to_owned(),
            size,
            compression,
            // The header's cluster.
            counts: vec![1],
            tables: vec![None; size.div_ceil(L2_COVERAGE) as usize],
            stream: Stream::default(),
            plain: Vec::new(),
        }
    }

    /// The path being written.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Adds the disk's cluster number `index`; indices rise.
    pub fn add(&mut self, index: u64, cluster: Cluster) -> Result<(), FormatError> {
        match cluster {
            Cluster::Zero => Ok(()),
            Cluster::Compressed(bytes) => self.add_compressed(index, &bytes),
            Cluster::Plain(bytes) => {
                self.plain.push((index, bytes));
                if self.plain.len() == PLAIN_RUN { self.flush_plain() } else { Ok(()) }
            }
        }
    }

    fn add_compressed(&mut self, index: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let length = bytes.len() as u64;
        let room = self.stream.at.next_multiple_of(CLUSTER) - self.stream.at;
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
        for host in offset / CLUSTER..=(self.stream.at - 1) / CLUSTER {
            self.counts[host as usize] += 1;
        }
        let sectors = (offset % SECTOR + length).div_ceil(SECTOR);
        self.map(index, COMPRESSED | ((sectors - 1) << SECTORS_SHIFT) | offset);
        if self.stream.buffer.len() >= STREAM_BUFFER { self.flush_stream() } else { Ok(()) }
    }

    fn flush_stream(&mut self) -> Result<(), FormatError> {
        let start = self.stream.at - self.stream.buffer.len() as u64;
        self.file.write_all_at(&self.stream.buffer, start).map_err(FormatError::io("write", &self.path))?;
        self.stream.buffer.clear();
        Ok(())
    }

    fn flush_plain(&mut self) -> Result<(), FormatError> {
        let run = std::mem::take(&mut self.plain);
        let mut offset = self.allocate(run.len() as u64, 1);
        for (index, bytes) in run {
            self.file.write_all_at(&bytes, offset).map_err(FormatError::io("write", &self.path))?;
            self.map(index, COPIED | offset);
            offset += CLUSTER;
        }
        Ok(())
    }

    /// Gives out `number` host clusters at the end of the file; returns the offset of the first.
    fn allocate(&mut self, number: u64, count: u16) -> u64 {
        let first = self.counts.len();
        self.counts.resize(first + number as usize, count);
        first as u64 * CLUSTER
    }

    fn map(&mut self, index: u64, entry: u64) {
        let table = self.tables[(index / L2_ENTRIES) as usize].get_or_insert_with(|| vec![0; L2_ENTRIES as usize]);
        table[(index % L2_ENTRIES) as usize] = entry;
    }

    /// Writes what is waiting, the tables and the header.
    pub fn finish(mut self) -> Result<(), FormatError> {
        self.flush_plain()?;
        self.flush_stream()?;
        let mut l1 = Vec::with_capacity(self.tables.len());
        for table in std::mem::take(&mut self.tables) {
            l1.push(match table {
                Some(table) => COPIED | self.write_table(&table)?,
                None => 0,
            });
        }
        // QEMU wants a table even of an empty disk.
        l1.resize(l1.len().max(1), 0);
        let l1_entries = l1.len() as u32;
        let l1_offset = self.write_table(&l1)?;
        let (refcount_offset, refcount_clusters) = self.write_counts()?;
        let header = Header {
            size: self.size,
            l1_entries,
            l1_offset,
            refcount_offset,
            refcount_clusters,
            compression: self.compression,
        };
        self.write_at(&header.bytes(), 0)?;
        // Whole clusters only: QEMU reads whole sectors of compressed data, and whole tables.
        let length = self.counts.len() as u64 * CLUSTER;
        self.file.set_len(length).map_err(FormatError::io("write", &self.path))
    }

    /// Writes the reference counts, which count themselves; returns offset and clusters of the table of their blocks.
    fn write_counts(&mut self) -> Result<(u64, u32), FormatError> {
        let used = self.counts.len() as u64;
        let (mut blocks, mut table) = (0, 0);
        loop {
            let needed = (used + blocks + table).div_ceil(COUNTS_PER_BLOCK);
            let needed_table = (needed * 8).div_ceil(CLUSTER);
            if (needed, needed_table) == (blocks, table) {
                break;
            }
            (blocks, table) = (needed, needed_table);
        }
        let first_block = self.allocate(blocks, 1);
        let table_offset = self.allocate(table, 1);
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        self.write_at(&counts, first_block)?;
        let entries: Vec<u8> = (0..blocks).flat_map(|block| (first_block + block * CLUSTER).to_be_bytes()).collect();
        self.write_at(&entries, table_offset)?;
        Ok((table_offset, table as u32))
    }

    /// Writes a table in clusters of its own; returns its offset.
    fn write_table(&mut self, table: &[u64]) -> Result<u64, FormatError> {
        let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        let offset = self.allocate((bytes.len() as u64).div_ceil(CLUSTER), 1);
        self.write_at(&bytes, offset)?;
        Ok(offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), FormatError> {
        self.file.write_all_at(bytes, offset).map_err(FormatError::io("write", &self.path))
    }
}
