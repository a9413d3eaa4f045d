//! An empty FAT file system that takes runs of clusters.
//!
//! In: what `fatfs` formatted. Out: the same with files. The table is kept in memory and written at the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Marks the end of a chain.
const END: u32 = 0x0fff_ffff;

pub(super) struct Volume<'a> {
    file: &'a File,
    /// Where it begins in the image.
    start: u64,
    kind: Kind,
    sector: u64,
    /// Bytes of a cluster.
    pub cluster: u64,
    reserved: u64,
    tables: u64,
    table_bytes: u64,
    /// Entries of the fixed root folder; 0 in FAT32.
    pub root_entries: usize,
    data: u64,
    clusters: u32,
    /// One entry a cluster as far as they are used.
    table: Vec<u32>,
    info_sector: u64,
    backup_sector: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

/// Where a folder's entries are.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The fixed root of FAT12 and FAT16.
    Root,
    /// A run of clusters.
    Cluster(u32),
}

impl<'a> Volume<'a> {
    /// Reads the boot sector of an empty file system.
    pub fn open(file: &'a File, start: u64) -> io::Result<Self> {
        let mut boot = [0; 512];
        file.read_exact_at(&mut boot, start)?;
        let short = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| short(at) | short(at + 2) << 16;
        let either = |first: u64, second: u64| if first == 0 { second } else { first };
        let sector = short(11);
        let (cluster, reserved, tables) = (sector * u64::from(boot[13]), short(14), u64::from(boot[16]));
        let fat32 = short(22) == 0;
        let table_sectors = either(short(22), long(36));
        let root_bytes = short(17) * 32;
        let total = either(short(19), long(32));
        let data = (reserved + tables * table_sectors) * sector + root_bytes.next_multiple_of(sector);
        let clusters = (total * sector).saturating_sub(data).checked_div(cluster).unwrap_or(0) as u32;
        let kind = match (fat32, clusters) {
            (true, _) => Kind::Fat32,
            (_, ..4085) => Kind::Fat12,
            _ => Kind::Fat16,
        };
        Ok(Self {
            file,
            start,
            kind,
            sector,
            cluster,
            reserved,
            tables,
            table_bytes: table_sectors * sector,
            root_entries: short(17) as usize,
            data,
            clusters,
            table: vec![0x0fff_ff00 | u32::from(boot[21]), END],
            info_sector: if fat32 { short(48) } else { 0 },
            backup_sector: if fat32 { short(50) } else { 0 },
        })
    }

    /// The next run of clusters for `bytes`; `None` when they are not there.
    pub fn take(&mut self, bytes: u64) -> Option<u32> {
        let first = u32::try_from(self.table.len()).ok()?;
        let count = u32::try_from(bytes.div_ceil(self.cluster)).ok()?;
        if count == 0 {
            return Some(0);
        }
        // Clusters are numbered from 2.
        if first.checked_add(count)? > self.clusters.checked_add(2)? {
            return None;
        }
        self.table.extend((first + 1..first + count).chain([END]));
        Some(first)
    }

    /// Where in the image a cluster begins.
    pub fn offset(&self, place: Place) -> u64 {
        self.start
            + match place {
                Place::Root => (self.reserved * self.sector) + self.tables * self.table_bytes,
                Place::Cluster(cluster) => self.data + u64::from(cluster - 2) * self.cluster,
            }
    }

    /// The file the volume is in.
    pub fn file(&self) -> &File {
        self.file
    }

    /// Writes the tables and how much is free.
    pub fn finish(self) -> io::Result<()> {
        let bytes = self.encoded();
        for copy in 0..self.tables {
            self.file.write_all_at(&bytes, self.start + self.reserved * self.sector + copy * self.table_bytes)?;
        }
        if self.kind != Kind::Fat32 {
            return Ok(());
        }
        let used = self.table.len() as u32 - 2;
        let at = self.start + self.info_sector * self.sector;
        let mut info = [0; 512];
        self.file.read_exact_at(&mut info, at)?;
        info[488..492].copy_from_slice(&(self.clusters - used).to_le_bytes());
        info[492..496].copy_from_slice(&(self.table.len() as u32).min(self.clusters + 1).to_le_bytes());
        self.file.write_all_at(&info, at)?;
        // Its copy stands behind the copy of the boot sector, as the original behind the original.
        self.file.write_all_at(&info, at + self.backup_sector * self.sector)
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.table.len() * 4);
        match self.kind {
            Kind::Fat32 => self.table.iter().for_each(|entry| bytes.extend(entry.to_le_bytes())),
            Kind::Fat16 => self.table.iter().for_each(|entry| bytes.extend((*entry as u16).to_le_bytes())),
            Kind::Fat12 => {
                for pair in self.table.chunks(2) {
                    let (low, high) = (pair[0] & 0xfff, pair.get(1).copied().unwrap_or(0) & 0xfff);
                    bytes.extend(&(low | high << 12).to_le_bytes()[..3]);
                }
            }
        }
        bytes
    }
}
