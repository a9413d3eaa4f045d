//! Files of FAT12, FAT16 and FAT32 (Microsoft's specification 1.03), read only.
//!
//! In: a window. Out: entries with their long names, and content. Chains of clusters that turn back end. The library that kiln writes
//! FAT with follows such chains for ever, and wants to write; hence this.

use std::io::Write;

use super::files::{Entry, Kind};
use super::probe::FatGeometry;
use super::{InspectError, Window};

/// Bytes of an entry of a folder.
const ENTRY: usize = 32;
/// The most bytes that a folder may have.
const LARGEST_FOLDER: u64 = 2 << 20;
/// Bytes of the table that are read at a time: whole entries of every width.
const PIECE: usize = 48 << 10;
/// Bytes of the largest table whose entries are counted: that of 256 Ki clusters. Who makes larger ones makes many of them.
const LARGEST_COUNTED: u64 = 1 << 20;
/// UTF-16 units of the longest name, and what its last part has beyond.
const LONGEST_NAME: usize = 260;
/// Attributes: a folder; the label of the volume; a part of a long name.
const FOLDER: u8 = 0x10;
const LABEL: u8 = 0x08;
const LONG: u8 = 0x0f;

/// A file system.
pub struct Fat {
    window: Window,
    geometry: FatGeometry,
}

/// An entry and where its content begins.
struct Found {
    entry: Entry,
    cluster: u64,
}

impl Fat {
    /// Opens the file system in `window`, when it is one.
    pub fn open(window: &Window) -> Result<Option<Self>, InspectError> {
        Ok(FatGeometry::read(window)?.map(|geometry| Self { window: window.clone(), geometry }))
    }

    /// The file at `path`.
    pub fn stat(&self, path: &str) -> Result<Entry, InspectError> {
        self.find(path).map(|found| found.entry)
    }

    /// What is in a folder.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, InspectError> {
        let folder = self.find(path)?;
        if folder.entry.kind != Kind::Folder {
            return Err(wrong(path, "it is no folder"));
        }
        Ok(self.entries(folder.cluster)?.into_iter().map(|found| found.entry).collect())
    }

    /// The content of a file.
    pub fn copy(&self, path: &str, out: &mut dyn Write) -> Result<(), InspectError> {
        let Found { entry, cluster } = self.find(path)?;
        if entry.kind != Kind::File {
            return Err(wrong(path, "it is no file"));
        }
        let mut left = entry.size;
        let mut bytes = vec![0; self.geometry.cluster as usize];
        for offset in self.chain(cluster).take(entry.size.div_ceil(self.geometry.cluster) as usize) {
            let length = left.min(self.geometry.cluster) as usize;
            self.window.fill(&mut bytes[..length], offset?)?;
            out.write_all(&bytes[..length]).map_err(InspectError::Write)?;
            left -= length as u64;
        }
        if left > 0 { Err(wrong(path, "its clusters end before its content")) } else { Ok(()) }
    }

    fn find(&self, path: &str) -> Result<Found, InspectError> {
        let root =
            Entry { name: String::new(), kind: Kind::Folder, size: 0, mode: None, uid: None, gid: None, target: None };
        let mut found = Found { entry: root, cluster: self.geometry.root_cluster };
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if found.entry.kind != Kind::Folder {
                return Err(wrong(path, "a part of the path is no folder"));
            }
            let entries = self.entries(found.cluster)?;
            let here = entries.into_iter().find(|found| found.entry.name.to_lowercase() == name.to_lowercase());
            found = here.ok_or_else(|| wrong(path, "there is no such file"))?;
        }
        Ok(found)
    }

    /// The entries of the folder that begins with `cluster`; 0 is the root of FAT12 and FAT16.
    fn entries(&self, cluster: u64) -> Result<Vec<Found>, InspectError> {
        let mut bytes = Vec::new();
        if cluster == 0 {
            let (offset, length) = self.geometry.root;
            bytes.resize(length.min(LARGEST_FOLDER) as usize, 0);
            self.window.fill(&mut bytes, offset)?;
        } else {
            let most = LARGEST_FOLDER.div_ceil(self.geometry.cluster) as usize;
            for offset in self.chain(cluster).take(most) {
                let start = bytes.len();
                bytes.resize(start + self.geometry.cluster as usize, 0);
                self.window.fill(&mut bytes[start..], offset?)?;
            }
        }
        let mut found = Vec::new();
        // Parts of a long name precede the entry, the last part first.
        let mut long: Vec<u16> = Vec::new();
        for raw in bytes.chunks_exact(ENTRY) {
            match (raw[0], raw[11]) {
                (0, _) => break,
                (0xe5, _) => long.clear(),
                (order, attributes) if attributes & 0x3f == LONG => {
                    if order & 0x40 != 0 || long.len() >= LONGEST_NAME {
                        long.clear();
                    }
                    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
                    let part =
                        places.map(|at| u16::from_le_bytes([raw[at], raw[at + 1]])).take_while(|unit| *unit != 0);
                    long.splice(0..0, part);
                }
                (_, attributes) if attributes & LABEL != 0 => long.clear(),
                _ => {
                    let name = if long.is_empty() { short_name(raw) } else { String::from_utf16_lossy(&long) };
                    long.clear();
                    if name != "." && name != ".." {
                        found.push(self.found(raw, name));
                    }
                }
            }
        }
        Ok(found)
    }

    fn found(&self, raw: &[u8], name: String) -> Found {
        let number = |at: usize| u64::from(u16::from_le_bytes([raw[at], raw[at + 1]]));
        let high = if self.geometry.bits == 32 { number(20) << 16 } else { 0 };
        let kind = if raw[11] & FOLDER != 0 { Kind::Folder } else { Kind::File };
        let size = number(28) | number(30) << 16;
        let entry = Entry { name, kind, size, mode: None, uid: None, gid: None, target: None };
        Found { entry, cluster: high | number(26) }
    }

    /// Offsets of the clusters from `first` on, at most as many as there are.
    fn chain(&self, first: u64) -> impl Iterator<Item = Result<u64, InspectError>> + '_ {
        let mut next = Some(first).filter(|first| self.is_cluster(*first));
        let mut left = self.geometry.clusters;
        std::iter::from_fn(move || {
            let cluster = next?;
            left = left.checked_sub(1)?;
            next = match self.after(cluster) {
                Ok(after) => Some(after).filter(|after| self.is_cluster(*after)),
                Err(error) => {
                    next = None;
                    return Some(Err(error));
                }
            };
            Some(Ok(self.geometry.data + (cluster - 2) * self.geometry.cluster))
        })
    }

    fn is_cluster(&self, number: u64) -> bool {
        (2..self.geometry.clusters + 2).contains(&number)
    }

    /// The table's entry for a cluster.
    fn after(&self, cluster: u64) -> Result<u64, InspectError> {
        let bits = u64::from(self.geometry.bits);
        let bytes = self.window.bytes::<4>(self.geometry.table + cluster * bits / 8)?;
        let number = u64::from(u32::from_le_bytes(bytes));
        Ok(match bits {
            12 if cluster % 2 == 1 => number >> 4 & 0xfff,
            12 => number & 0xfff,
            16 => number & 0xffff,
            // The upper four bits are reserved.
            _ => number & 0x0fff_ffff,
        })
    }
}

/// Clusters whose entry in the table is not zero; `None` when the table is too large to be read for that.
pub fn used_clusters(window: &Window, geometry: &FatGeometry) -> Result<Option<u64>, InspectError> {
    if geometry.clusters.saturating_mul(geometry.bits.into()) / 8 > LARGEST_COUNTED {
        return Ok(None);
    }
    let mut piece = vec![0; PIECE];
    let (mut used, mut cluster) = (0, 0);
    let end = geometry.clusters + 2;
    let bits = geometry.bits as usize;
    let per_piece = (PIECE * 8 / bits) as u64;
    while cluster < end {
        let offset = geometry.table + cluster * bits as u64 / 8;
        let length = window.size().saturating_sub(offset).min(PIECE as u64) as usize;
        window.fill(&mut piece[..length], offset)?;
        piece[length..].fill(0);
        for within in 0..per_piece.min(end - cluster) as usize {
            let at = within * bits / 8;
            let taken = match bits {
                12 if within % 2 == 1 => piece[at] >> 4 != 0 || piece[at + 1] != 0,
                12 => piece[at] != 0 || piece[at + 1] & 0xf != 0,
                16 => piece[at..at + 2] != [0; 2],
                _ => piece[at..at + 3] != [0; 3] || piece[at + 3] & 0xf != 0,
            };
            // The first two entries are no clusters.
            used += u64::from(taken && cluster + within as u64 >= 2);
        }
        cluster += per_piece;
    }
    Ok(Some(used))
}

/// The name of an entry without a long one: eight characters and three.
fn short_name(raw: &[u8]) -> String {
    // Bits of byte 12: the name, the extension is in small letters.
    let part = |bytes: &[u8], small: bool| {
        let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
        if small { text.to_lowercase() } else { text }
    };
    let name = part(&raw[..8], raw[12] & 8 != 0);
    let extension = part(&raw[8..11], raw[12] & 16 != 0);
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

fn wrong(path: &str, reason: &str) -> InspectError {
    InspectError::Path { path: path.to_owned(), reason: reason.to_owned() }
}
