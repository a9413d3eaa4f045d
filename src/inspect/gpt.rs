//! GUID partition tables (UEFI specification 2.10, chapter 5), with sectors of 512 and of 4096 bytes.
//!
//! In: a disk. Out: its partitions, from the first table or, when that is damaged, from its copy at the end. The library that reads
//! them trusts some numbers of a header; those are looked at first.

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use super::report::{Partition, Table};
use super::window::Device;
use super::{InspectError, Window};

/// More entries than any disk has.
const MOST_ENTRIES: u32 = 4096;
/// Bytes in an entry, which is what everybody writes.
const ENTRY: u32 = 128;
/// Attribute: BIOS firmware starts from it.
const LEGACY_BOOT: u64 = 1 << 2;

/// Reads the table, when there is one.
pub fn read(whole: &Window) -> Result<Option<Table>, InspectError> {
    for (sector, size) in [(512, LogicalBlockSize::Lb512), (4096, LogicalBlockSize::Lb4096)] {
        if whole.bytes::<8>(sector)? == *b"EFI PART" {
            return with_sector(whole, sector, size).map(Some);
        }
    }
    Ok(None)
}

fn with_sector(whole: &Window, sector: u64, size: LogicalBlockSize) -> Result<Table, InspectError> {
    let damaged = |reason: String| InspectError::Damaged { what: "partition table", reason };
    if whole.size() < 3 * sector {
        return Err(damaged("the disk is too small for one".into()));
    }
    for header in [sector, (whole.size() / sector - 1) * sector] {
        let header = whole.bytes::<92>(header)?;
        let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header.starts_with(b"EFI PART") && (number(84) != ENTRY || number(80) > MOST_ENTRIES) {
            return Err(damaged(format!("it has {} entries of {} bytes", number(80), number(84))));
        }
    }
    let config = GptConfig::new().writable(false).logical_block_size(size);
    let read = config.open_from_device(Device::new(whole.clone())).map_err(|error| damaged(error.to_string()))?;
    let partitions = read.partitions().iter().filter(|(_, part)| part.is_used()).map(|(number, part)| {
        let sectors = part.last_lba.saturating_sub(part.first_lba).saturating_add(1);
        Partition {
            number: *number,
            start: part.first_lba.saturating_mul(sector),
            size: sectors.saturating_mul(sector),
            kind: part.part_type_guid.guid.to_string().to_lowercase(),
            name: Some(part.name.trim_end_matches('\0').to_owned()).filter(|name| !name.is_empty()),
            uuid: Some(part.part_guid.to_string()),
            boot: part.flags & LEGACY_BOOT != 0,
            filesystem: None,
        }
    });
    Ok(Table { kind: "gpt", sector_size: sector, id: read.guid().to_string(), partitions: partitions.collect() })
}
