//! Partitions and file systems of a disk.

use std::sync::Arc;

use serde::Serialize;

use super::{InspectError, Window, gpt, mbr, probe};
use crate::format::reader::Disk;

/// What is on a disk.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Size of the disk in bytes.
    pub size: u64,
    /// Bytes of it that hold data; the rest reads as zeros.
    pub data: u64,
    /// The partition table, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// The file system of a disk without partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
}

/// A partition table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// `gpt` or `mbr`.
    pub kind: &'static str,
    /// Bytes in a sector.
    pub sector_size: u64,
    /// Identifier of the disk.
    pub id: String,
    /// The partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Clone, Debug, Serialize)]
pub struct Partition {
    /// Its number, as Linux counts.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// GPT: identifier of the type; MBR: two hex digits.
    #[serde(rename = "type")]
    pub kind: String,
    /// GPT: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// GPT: its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// MBR: the active flag; GPT: the legacy BIOS flag.
    pub boot: bool,
    /// What is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
}

/// A file system, or something else that fills a partition: `swap`, `crypto_LUKS`, `LVM2_member`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// Its type, as `blkid` calls it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its size in bytes, when it says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes in use, when it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}

impl Report {
    /// Every file system that is there and the part of `whole` that it fills, with the number of its partition.
    pub fn filesystems(&self, whole: &Window) -> Vec<(Option<u32>, Window, &Filesystem)> {
        let partitions = self.table.iter().flat_map(|table| &table.partitions);
        let parts = partitions
            .filter_map(|part| Some((Some(part.number), whole.part(part.start, part.size), part.filesystem.as_ref()?)));
        self.filesystem.iter().map(|filesystem| (None, whole.clone(), filesystem)).chain(parts).collect()
    }
}

/// Looks at `disk`.
///
/// # Errors
/// The image cannot be read, or its partition table is damaged.
pub fn report(disk: &Arc<dyn Disk>) -> Result<Report, InspectError> {
    let whole = Window::whole(Arc::clone(disk));
    let mut report = Report { size: disk.size(), data: data(disk.as_ref())?, table: None, filesystem: None };
    report.table = gpt::read(&whole)?;
    if report.table.is_none() {
        // The first sector of a FAT file system bears the mark of a partition table too.
        report.filesystem = probe::probe(&whole)?;
    }
    if report.table.is_none() && report.filesystem.is_none() {
        report.table = mbr::read(&whole)?;
    }
    if let Some(table) = &mut report.table {
        for part in &mut table.partitions {
            part.filesystem = probe::probe(&whole.part(part.start, part.size))?;
        }
    }
    Ok(report)
}

/// Bytes that may be something else than zeros.
fn data(disk: &dyn Disk) -> Result<u64, InspectError> {
    let (mut at, mut data) = (0, 0);
    while let Some(range) = disk.next_data(at)? {
        data += range.end - range.start;
        at = range.end.max(at + 1);
    }
    Ok(data)
}
