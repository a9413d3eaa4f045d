//! DOS partition tables: four entries, one of which may hold a chain of logical partitions.
//!
//! In: a disk. Out: its partitions. The table does not say how large sectors are: those are believed with which more partitions hold
//! something known; if that does not tell, those with which they lie on the disk, chains have more members, and more begin at whole
//! MiB; 512 bytes first.

use std::collections::BTreeSet;

use super::report::{Partition, Table};
use super::{InspectError, Window, probe};

/// The types of a partition that holds others.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// Logical partitions that a chain may have.
const MOST_LOGICAL: u32 = 128;
/// Where the entries are.
const ENTRIES: usize = 446;

/// An entry: flag, type, first sector, sectors.
#[derive(Clone, Copy)]
struct Raw {
    boot: bool,
    kind: u8,
    start: u64,
    sectors: u64,
}

/// Reads the table, when there is one.
pub fn read(whole: &Window) -> Result<Option<Table>, InspectError> {
    let first = whole.bytes::<512>(0)?;
    let Some(entries) = entries(&first) else { return Ok(None) };
    if entries.iter().all(|entry| entry.kind == 0) {
        return Ok(None);
    }
    let id = u32::from_le_bytes([first[440], first[441], first[442], first[443]]);
    let mut best: Option<((usize, bool, usize, usize), Table)> = None;
    for sector_size in [512, 4096] {
        let partitions = partitions(whole, &entries, sector_size)?;
        let mut known = 0;
        for part in &partitions {
            known += usize::from(probe::probe(&whole.part(part.start, part.size))?.is_some());
        }
        let fits = partitions.iter().all(|part| part.start.saturating_add(part.size) <= whole.size());
        let aligned = partitions.iter().filter(|part| part.start.is_multiple_of(1 << 20)).count();
        let score = (known, fits, partitions.len(), aligned);
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, Table { kind: "mbr", sector_size, id: format!("{id:08x}"), partitions }));
        }
    }
    Ok(best.map(|(_, table)| table))
}

fn partitions(whole: &Window, entries: &[Raw; 4], sector: u64) -> Result<Vec<Partition>, InspectError> {
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        if entry.kind != 0 && entry.sectors != 0 {
            partitions.push(partition(number, entry, entry.start, sector));
        }
    }
    let extended = entries.iter().find(|entry| EXTENDED.contains(&entry.kind));
    if let Some(extended) = extended {
        logical(whole, extended.start, sector, &mut partitions)?;
    }
    Ok(partitions)
}

/// Follows the chain of tables: each has one partition, relative to the table, and the next table, relative to the first.
fn logical(whole: &Window, first: u64, sector: u64, found: &mut Vec<Partition>) -> Result<(), InspectError> {
    let mut seen = BTreeSet::new();
    let (mut at, mut number) = (first, 5);
    while seen.insert(at) && number < 5 + MOST_LOGICAL {
        let table = whole.bytes::<512>(at.saturating_mul(sector))?;
        let Some(entries) = entries(&table) else { return Ok(()) };
        for entry in entries.iter().filter(|entry| entry.kind != 0 && entry.sectors != 0) {
            if !EXTENDED.contains(&entry.kind) {
                found.push(partition(number, entry, at + entry.start, sector));
                number += 1;
            }
        }
        match entries.iter().find(|entry| EXTENDED.contains(&entry.kind)) {
            Some(next) => at = first + next.start,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn partition(number: u32, entry: &Raw, start: u64, sector: u64) -> Partition {
    Partition {
        number,
        start: start * sector,
        size: entry.sectors * sector,
        kind: format!("{:02x}", entry.kind),
        name: None,
        uuid: None,
        boot: entry.boot,
        filesystem: None,
    }
}

/// The four entries of a sector that bears the mark of a table.
fn entries(sector: &[u8; 512]) -> Option<[Raw; 4]> {
    if sector[510..] != [0x55, 0xaa] {
        return None;
    }
    let entry = |index: usize| {
        let bytes = &sector[ENTRIES + index * 16..][..16];
        let number =
            |at: usize| u64::from(u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        Raw { boot: bytes[0] == 0x80, kind: bytes[4], start: number(8), sectors: number(12) }
    };
    let all = [entry(0), entry(1), entry(2), entry(3)];
    // Boot code in that place is no table.
    let flags = (0..4).all(|index| matches!(sector[ENTRIES + index * 16], 0 | 0x80));
    flags.then_some(all)
}
