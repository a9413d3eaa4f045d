//! Places partitions in a DOS partition table, as DIB does.
//!
//! The first partition begins one alignment unit into the disk, one unit is kept at its end. The first logical partition
//! opens an extended one that takes the rest of the disk; each logical one has its EBR one unit before its data.

use super::error::LayoutError;
use super::identity::Identity;
use super::remedy::Remedy;
use super::share;
use crate::disk::config::Partitioning;
use crate::disk::layout::{Disk, EXTENDED, Partition, PartitionKind, Table};

/// `own_size`: the description says how large the disk is.
pub(super) fn place(
    disk: &mut Disk,
    table: &Partitioning,
    identity: &Identity,
    own_size: bool,
    dib_strict: bool,
) -> Result<(), LayoutError> {
    let sector = u64::from(disk.sector_size);
    let logical = table.partitions.iter().filter(|partition| !partition.primary).count();
    let primary = table.partitions.len() - logical;
    if primary + usize::from(logical > 0) > 4 {
        return Err(LayoutError::TooManyPrimaries { disk: disk.name.clone(), primary, logical });
    }
    if disk.size / sector > u64::from(u32::MAX) {
        return Err(LayoutError::TooLargeForMbr { disk: disk.name.clone(), size: disk.size });
    }
    let disk_id = table.disk_id.unwrap_or_else(|| identity.disk_id(&disk.name));
    disk.table = Some(Table::Mbr { disk_id, dib_strict });
    // One unit before the first partition, one before each logical one, and one at the end unless the last is logical.
    let end = u64::from(table.partitions.last().is_some_and(|last| last.primary));
    let kept = table.align.saturating_mul(1 + logical as u64 + end);
    let sizes = share::sizes(&table.partitions, disk.size.saturating_sub(kept), table.align);
    let mut next = table.align;
    let mut numbers = 1..;
    let mut logical_numbers = 5..;
    let mut extended = false;
    for ((index, partition), size) in table.partitions.iter().enumerate().zip(sizes) {
        if !partition.primary && !extended {
            extended = true;
            disk.partitions.push(Partition {
                number: numbers.next().unwrap_or_default(),
                name: format!("{}-extended", table.name),
                label: String::new(),
                start: next,
                size: disk.size.saturating_sub(next),
                kind: PartitionKind::Mbr(EXTENDED),
                boot: false,
                guid: None,
                attributes: 0,
                hybrid: None,
            });
        }
        // Before the EBR takes its unit: what DIB calls free, and why it keeps a unit at the end.
        let free = disk.size.saturating_sub(next + table.align);
        let wanted = size.of(free);
        let size = wanted / sector * sector;
        let start = if partition.primary { next } else { next + table.align };
        if wanted > free {
            let (partition, name) = (partition.name.clone(), disk.name.clone());
            let remedy = Remedy::of(&table.partitions, index, own_size);
            return Err(LayoutError::TooSmall { partition, disk: name, needed: wanted, free, size: disk.size, remedy });
        }
        if size == 0 {
            let (partition, name) = (partition.name.clone(), disk.name.clone());
            return Err(LayoutError::Empty { partition, disk: name, size: wanted, unit: "sectors" });
        }
        let number = if partition.primary { numbers.next() } else { logical_numbers.next() };
        disk.partitions.push(Partition {
            number: number.unwrap_or_default(),
            name: partition.name.clone(),
            label: String::new(),
            start,
            size,
            kind: partition.kind,
            boot: partition.boot,
            guid: None,
            attributes: 0,
            hybrid: None,
        });
        next = (start + size).next_multiple_of(table.align);
    }
    Ok(())
}
