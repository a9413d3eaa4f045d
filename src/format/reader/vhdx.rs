//! A VHDX that was closed properly.
//!
//! In: the file. Out: the disk. Refused: parents, and a log that has to be replayed first.

use uuid::Uuid;

use super::FormatError;
use super::blocks::{Blocks, HOLE};
use super::container::{Container, le};
use crate::format::vhdx::{
    DISK_SIZE, FILE_PARAMETERS, LOGICAL_SECTOR, METADATA_REGION, PRESENT, SECTORS_PER_BITMAP, TABLE_REGION, checksum,
    entry_of,
};

const KIB: u64 = 1 << 10;
/// The most entries of a region table or of the metadata.
const MOST_ENTRIES: u32 = 2047;
/// Where a region table's entries begin, and how long each is; the metadata's are as long.
const ENTRY: usize = 32;
/// A block that is partly in the file, partly in its parent.
const PARTIAL: u64 = 7;
/// The offset in an entry.
const OFFSET: u64 = !0xf_ffff;

/// Opens the image in `file`.
pub fn open(file: Container) -> Result<Blocks, FormatError> {
    let mut identifier = [0; 8];
    file.fill(&mut identifier, 0)?;
    if identifier != *b"vhdxfile" {
        return Err(file.damaged("it has no identifier"));
    }
    let mut header: Option<Vec<u8>> = None;
    for at in [64 * KIB, 128 * KIB] {
        let found = file.table(at, 4 * KIB)?;
        let newer = header.as_ref().is_none_or(|known| le::u64(&found, 8) > le::u64(known, 8));
        if found.starts_with(b"head") && le::u32(&found, 4) == checksum(&found) && newer {
            header = Some(found);
        }
    }
    let header = header.ok_or_else(|| file.damaged("it has no header"))?;
    if header[48..64] != [0; 16] {
        return Err(file.unsupported("a log that has to be replayed"));
    }
    let (table, table_length) = region(&file, TABLE_REGION)?;
    let (metadata, _) = region(&file, METADATA_REGION)?;
    let parameters = item(&file, metadata, FILE_PARAMETERS, 8)?;
    let size = le::u64(&item(&file, metadata, DISK_SIZE, 8)?, 0);
    let sector = u64::from(le::u32(&item(&file, metadata, LOGICAL_SECTOR, 4)?, 0));
    let block = u64::from(le::u32(&parameters, 0));
    if le::u32(&parameters, 4) & 2 != 0 {
        return Err(file.unsupported("a parent"));
    }
    if ![512, 4096].contains(&sector)
        || !block.is_power_of_two()
        || !(1 << 20..=1 << 28).contains(&block)
        || block > SECTORS_PER_BITMAP * sector
    {
        return Err(file.damaged("its blocks have an impossible size"));
    }
    let blocks = size.div_ceil(block);
    if blocks == 0 {
        return Ok(Blocks { file, size, block, places: Vec::new() });
    }
    let length = (entry_of(blocks - 1, block, sector) + 1).saturating_mul(8);
    if length > table_length {
        return Err(file.damaged("its table is too short"));
    }
    let table = file.table(table, length)?;
    let mut places = Vec::with_capacity(blocks as usize);
    for number in 0..blocks {
        let entry = le::u64(&table, entry_of(number, block, sector) as usize * 8);
        places.push(match entry & 7 {
            PRESENT => entry & OFFSET,
            PARTIAL => return Err(file.unsupported("a parent")),
            _ => HOLE,
        });
    }
    Ok(Blocks { file, size, block, places })
}

/// Offset and length of a region, from the first of the two tables that is sound.
fn region(file: &Container, wanted: Uuid) -> Result<(u64, u64), FormatError> {
    for at in [192 * KIB, 256 * KIB] {
        let table = file.table(at, 64 * KIB)?;
        let count = le::u32(&table, 8);
        if !table.starts_with(b"regi") || le::u32(&table, 4) != checksum(&table) || count > MOST_ENTRIES {
            continue;
        }
        let mut entries = table[16..].chunks_exact(ENTRY).take(count as usize);
        if let Some(entry) = entries.find(|entry| entry[..16] == wanted.to_bytes_le()) {
            return Ok((le::u64(entry, 16), le::u32(entry, 24).into()));
        }
    }
    Err(file.damaged("a region is missing"))
}

/// The first `length` bytes of an item of the metadata.
fn item(file: &Container, metadata: u64, wanted: Uuid, length: u64) -> Result<Vec<u8>, FormatError> {
    let table = file.table(metadata, 64 * KIB)?;
    let count = u32::from(le::u16(&table, 10)).min(MOST_ENTRIES) as usize;
    if !table.starts_with(b"metadata") {
        return Err(file.damaged("it has no metadata"));
    }
    let mut entries = table[ENTRY..].chunks_exact(ENTRY).take(count);
    let entry = entries
        .find(|entry| entry[..16] == wanted.to_bytes_le())
        .ok_or_else(|| file.damaged("its metadata lack an item"))?;
    let place = metadata.checked_add(le::u32(entry, 16).into());
    file.table(place.ok_or_else(|| file.damaged("its metadata lie nowhere"))?, length)
}
