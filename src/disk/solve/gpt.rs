//! Places partitions in a GUID partition table, as DIB and sgdisk do.
//!
//! DIB keeps 2 MiB for the two tables and hands sgdisk whole MiB; sgdisk begins at 1 MiB and aligns to it. What DIB subtracts
//! from the free space is the size before rounding.

use super::error::LayoutError;
use super::identity::Identity;
use super::remedy::Remedy;
use super::share;
use crate::disk::config::Partitioning;
use crate::disk::layout::{Disk, Partition, Table};

const MIB: u64 = 1 << 20;
/// Kept for the tables at both ends.
const KEPT: u64 = 2 * MIB;
/// Entries of a table.
const ENTRIES: usize = 128;

/// `own_size`: the description says how large the disk is.
pub(super) fn place(
    disk: &mut Disk,
    table: &Partitioning,
    identity: &Identity,
    own_size: bool,
) -> Result<(), LayoutError> {
    if table.partitions.len() > ENTRIES {
        return Err(LayoutError::TooManyEntries { disk: disk.name.clone(), count: table.partitions.len() });
    }
    disk.table = Some(Table::Gpt { guid: table.guid.unwrap_or_else(|| identity.uuid("disk", &disk.name)) });
    let (mut free, mut start) = (disk.size.saturating_sub(KEPT), MIB);
    let sizes = share::sizes(&table.partitions, free, MIB);
    for (((index, partition), number), size) in table.partitions.iter().enumerate().zip(1..).zip(sizes) {
        let wanted = size.of(free);
        if wanted > free {
            let (partition, name) = (partition.name.clone(), disk.name.clone());
            let remedy = Remedy::of(&table.partitions, index, own_size);
            return Err(LayoutError::TooSmall { partition, disk: name, needed: wanted, free, size: disk.size, remedy });
        }
        let size = wanted / MIB * MIB;
        if size == 0 {
            let (partition, name) = (partition.name.clone(), disk.name.clone());
            return Err(LayoutError::Empty { partition, disk: name, size: wanted, unit: "MiB" });
        }
        let derived = || identity.uuid("partition", &format!("{}/{}", disk.name, partition.name));
        let guid = partition.guid.unwrap_or_else(derived);
        disk.partitions.push(Partition {
            number,
            name: partition.name.clone(),
            label: partition.label.clone().unwrap_or_else(|| partition.name.clone()),
            start,
            size,
            kind: partition.kind,
            boot: partition.boot && partition.hybrid.is_some(),
            guid: Some(guid),
            attributes: partition.attributes,
            hybrid: partition.hybrid,
        });
        start += size;
        if partition.hybrid.is_some() && start / u64::from(disk.sector_size) > u64::from(u32::MAX) {
            let (partition, disk) = (partition.name.clone(), disk.name.clone());
            return Err(LayoutError::HybridTooFar { partition, disk });
        }
        free -= wanted;
    }
    Ok(())
}
