//! A qcow2, versions 2 and 3, deflate or zstd.
//!
//! In: the file. Out: the disk as its active layer has it. Refused: backing files, encryption, data in another file, subclusters,
//! images marked corrupt. Not here: snapshots.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::container::{Container, be};
use super::tables::Tables;
use super::{Disk, FormatError};

/// Bits of an L2 entry: a compressed cluster; a cluster that reads as zeros (version 3).
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// The offset of a cluster or a table in an entry.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Incompatible features that change nothing for a reader: dirty reference counts.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const SECTOR: u64 = 512;

/// An image.
pub struct Image {
    file: Container,
    size: u64,
    cluster_bits: u32,
    version: u32,
    zstd: bool,
    l1: Vec<u8>,
    tables: Tables,
}

/// Where a cluster is.
enum Place {
    Zero,
    At(u64),
    Compressed { offset: u64, length: u64 },
}

impl Image {
    /// Reads the header and the first table.
    pub fn open(file: Container) -> Result<Self, FormatError> {
        let mut header = [0; 112];
        let length = file.length().min(112) as usize;
        file.fill(&mut header[..length], 0)?;
        if length < 72 || header[..4] != *b"QFI\xfb" {
            return Err(file.damaged("it has no header"));
        }
        let (version, cluster_bits, size) = (be::u32(&header, 4), be::u32(&header, 20), be::u64(&header, 24));
        let incompatible = if version == 3 { be::u64(&header, 72) } else { 0 };
        if ![2, 3].contains(&version) {
            return Err(file.unsupported("another version"));
        }
        if be::u64(&header, 8) != 0 {
            return Err(file.unsupported("a backing file"));
        }
        if be::u32(&header, 32) != 0 {
            return Err(file.unsupported("encryption"));
        }
        if incompatible & CORRUPT != 0 {
            return Err(file.damaged("it is marked as corrupt"));
        }
        if incompatible & EXTERNAL_DATA != 0 {
            return Err(file.unsupported("its data in another file"));
        }
        if incompatible & !(DIRTY | COMPRESSION_TYPE) != 0 {
            return Err(file.unsupported("subclusters or a feature of a newer QEMU"));
        }
        if !(9..=21).contains(&cluster_bits) {
            return Err(file.damaged("its clusters have an impossible size"));
        }
        let zstd = match (incompatible & COMPRESSION_TYPE != 0, header[104]) {
            (false, _) | (true, 0) => false,
            (true, 1) => true,
            _ => return Err(file.unsupported("a compression of a newer QEMU")),
        };
        let coverage = (1_u64 << cluster_bits) << (cluster_bits - 3);
        let entries: u64 = be::u32(&header, 36).into();
        if entries < size.div_ceil(coverage) {
            return Err(file.damaged("its first table is too short"));
        }
        let l1 = file.table(be::u64(&header, 40), size.div_ceil(coverage) * 8)?;
        file.check_tables(
            l1.chunks_exact(8).filter(|entry| be::u64(entry, 0) & OFFSET != 0).count(),
            1 << cluster_bits,
        )?;
        Ok(Self { file, size, cluster_bits, version, zstd, l1, tables: Tables::default() })
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries in an L2 table.
    fn entries(&self) -> u64 {
        self.cluster() / 8
    }

    /// Offset of the L2 table that maps the cluster `index`; 0 when there is none.
    fn table_of(&self, index: u64) -> u64 {
        be::u64(&self.l1, (index / self.entries()) as usize * 8) & OFFSET
    }

    fn place(&self, index: u64) -> Result<Place, FormatError> {
        let table = self.table_of(index);
        if table == 0 {
            return Ok(Place::Zero);
        }
        let table = self.tables.get(&self.file, table, self.cluster())?;
        let entry = be::u64(&table, (index % self.entries()) as usize * 8);
        if entry & COMPRESSED != 0 {
            // Offset in the lower bits, then the number of further sectors.
            let shift = 62 - (self.cluster_bits - 8);
            let offset = entry & ((1 << shift) - 1);
            let sectors = ((entry & !(3 << 62)) >> shift) + 1;
            return Ok(Place::Compressed { offset, length: sectors * SECTOR - offset % SECTOR });
        }
        match entry & OFFSET {
            0 => Ok(Place::Zero),
            _ if self.version == 3 && entry & ZERO != 0 => Ok(Place::Zero),
            offset => Ok(Place::At(offset)),
        }
    }

    /// The whole compressed cluster.
    fn decompress(&self, offset: u64, length: u64) -> Result<Vec<u8>, FormatError> {
        // The last sector may be cut off by the end of the file.
        let length = length.min(self.file.length().saturating_sub(offset));
        let packed = self.file.table(offset, length)?;
        let mut plain = vec![0; self.cluster() as usize];
        let whole = if self.zstd { unpack_zstd(&packed, &mut plain) } else { unpack_deflate(&packed, &mut plain) };
        if whole { Ok(plain) } else { Err(self.file.damaged("a cluster cannot be decompressed")) }
    }
}

fn unpack_deflate(packed: &[u8], plain: &mut [u8]) -> bool {
    let mut inflate = Decompress::new(false);
    // What follows in the last sector is not the cluster's.
    let ended = inflate.decompress(packed, plain, FlushDecompress::Finish);
    ended.is_ok() && inflate.total_out() == plain.len() as u64
}

fn unpack_zstd(packed: &[u8], plain: &mut [u8]) -> bool {
    let Ok(mut decoder) = Decoder::new() else { return false };
    // Four times the largest cluster: a frame may ask for much more memory than that.
    if decoder.set_parameter(DParameter::WindowLogMax(23)).is_err() {
        return false;
    }
    let (mut read, mut written) = (0, 0);
    while written < plain.len() {
        match decoder.run_on_buffers(&packed[read..], &mut plain[written..]) {
            Ok(status) if status.bytes_read > 0 || status.bytes_written > 0 => {
                read += status.bytes_read;
                written += status.bytes_written;
            }
            _ => return false,
        }
    }
    true
}

impl Disk for Image {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        if from >= self.size {
            return Ok(None);
        }
        let clusters = self.size.div_ceil(self.cluster());
        let mut start = from / self.cluster();
        while start < clusters {
            if self.table_of(start) == 0 {
                start = (start / self.entries() + 1) * self.entries();
            } else if matches!(self.place(start)?, Place::Zero) {
                start += 1;
            } else {
                break;
            }
        }
        if start >= clusters {
            return Ok(None);
        }
        let mut end = start + 1;
        // A run ends with its table, so that a step takes bounded time.
        while end < clusters && !end.is_multiple_of(self.entries()) && !matches!(self.place(end)?, Place::Zero) {
            end += 1;
        }
        Ok(Some((start * self.cluster()).max(from)..(end * self.cluster()).min(self.size)))
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), FormatError> {
        while !bytes.is_empty() {
            let within = offset % self.cluster();
            let length = (self.cluster() - within).min(bytes.len() as u64);
            let (part, rest) = bytes.split_at_mut(length as usize);
            match self.place(offset / self.cluster())? {
                Place::Zero => part.fill(0),
                Place::At(place) => {
                    // QEMU may leave the last cluster of a file short: the rest is zeros.
                    let there = self.file.length().saturating_sub(place + within).min(length) as usize;
                    self.file.fill(&mut part[..there], place + within)?;
                    part[there..].fill(0);
                }
                Place::Compressed { offset, length: packed } => {
                    let plain = self.decompress(offset, packed)?;
                    part.copy_from_slice(&plain[within as usize..within as usize + length as usize]);
                }
            }
            bytes = rest;
            offset += length;
        }
        Ok(())
    }
}
