//! GUID partition tables (UEFI specification, chapter 5), by the crate `gpt`.

use std::collections::BTreeMap;
use std::fs::File;

use camino::Utf8Path;
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};
use uuid::Uuid;

use super::DiskError;
use super::mbr::chs;
use crate::disk::layout::{Disk, PartitionKind};

/// Writes the protective MBR and both tables.
pub(super) fn write(disk: &Disk, guid: Uuid, file: &mut File, image: &Utf8Path) -> Result<(), DiskError> {
    let failed = |source| DiskError::Gpt { image: image.to_owned(), source: Box::new(source) };
    let sector = u64::from(disk.sector_size);
    let last = u32::try_from(disk.size / sector - 1).unwrap_or(u32::MAX);
    let mut mbr = ProtectiveMBR::with_lb_size(last);
    if let Some(mut record) = mbr.partition(0) {
        // sgdisk names the last sector in CHS where CHS can.
        [record.end_head, record.end_sector, record.end_track] = chs(last);
        mbr.set_partition(0, record);
    }
    mbr.overwrite_lba0(file).map_err(|error| failed(gpt::GptError::Io(std::io::Error::other(error))))?;
    let block = if disk.sector_size == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 };
    let config = GptConfig::new().writable(true).logical_block_size(block);
    let mut table = config.create_from_device(file, Some(guid)).map_err(failed)?;
    let entry = |partition: &crate::disk::layout::Partition| {
        let kind = if let PartitionKind::Gpt(kind) = partition.kind { kind } else { Uuid::nil() };
        let entry = Partition {
            part_type_guid: Type { guid: kind, os: OperatingSystem::None },
            part_guid: partition.guid.unwrap_or_default(),
            first_lba: partition.start / sector,
            last_lba: (partition.start + partition.size) / sector - 1,
            flags: partition.attributes,
            name: partition.label.clone(),
        };
        (partition.number, entry)
    };
    let entries: BTreeMap<_, _> = disk.partitions.iter().map(entry).collect();
    table.update_partitions(entries).map_err(failed)?;
    table.write().map_err(failed)?;
    Ok(())
}
