//! DOS partition tables and extended boot records.
//!
//! Written here rather than by `mbrman`, which chooses the places of EBRs itself: ours must be DIB's. Entry: 1 byte active
//! flag, CHS of the first sector, 1 byte type, CHS of the last, LBA and count of sectors, little endian. Four entries at 446,
//! the signature 55 AA at 510, the disk's at 440.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

use super::DiskError;
use crate::disk::layout::{Disk, Partition, PartitionKind};

/// What firmware assumes of a disk that is larger than CHS can say.
const HEADS: u32 = 255;
const SECTORS: u32 = 63;
/// Links from one EBR to the next have this type.
const LINK: u8 = 0x05;

/// Writes the table and the EBRs; the 440 bytes before the disk's signature stay as they are.
pub(super) fn write(disk: &Disk, disk_id: u32, file: &File, image: &Utf8Path) -> Result<(), DiskError> {
    let put = |bytes: &[u8], at: u64| {
        file.write_all_at(bytes, at).map_err(DiskError::io("write the partition table of", image))
    };
    let sector = u64::from(disk.sector_size);
    let mut table = [0; 64];
    for partition in disk.partitions.iter().filter(|partition| partition.number < 5) {
        let slot = (partition.number as usize - 1) * 16;
        table[slot..slot + 16].copy_from_slice(&entry(partition, sector, 0));
    }
    put(&disk_id.to_le_bytes(), 440)?;
    put(&table, 446)?;
    put(&[0x55, 0xaa], 510)?;
    let Some(extended) = disk.partitions.iter().find(|partition| partition.is_extended()) else {
        return Ok(());
    };
    let logical: Vec<_> = disk.partitions.iter().filter(|partition| partition.number >= 5).collect();
    // Every EBR is as far before its data as the first, which begins the extended partition.
    let gap = logical.first().map_or(0, |first| first.start - extended.start);
    for (index, partition) in logical.iter().enumerate() {
        let at = partition.start - gap;
        let mut record = [0; 66];
        record[..16].copy_from_slice(&entry(partition, sector, at));
        if let Some(next) = logical.get(index + 1) {
            let link = Partition {
                start: next.start - gap,
                size: next.size + gap,
                kind: PartitionKind::Mbr(LINK),
                boot: false,
                ..(*next).clone()
            };
            record[16..32].copy_from_slice(&entry(&link, sector, extended.start));
        }
        record[64..].copy_from_slice(&[0x55, 0xaa]);
        put(&record, at + 446)?;
    }
    Ok(())
}

/// An entry whose sector numbers count from the byte `origin`; CHS always counts from the disk's beginning.
fn entry(partition: &Partition, sector: u64, origin: u64) -> [u8; 16] {
    // `solve` refused disks of more than 2^32 sectors.
    let number = |bytes: u64| u32::try_from(bytes / sector).unwrap_or(u32::MAX);
    let (first, count) = (number(partition.start), number(partition.size));
    let mut entry = [0; 16];
    entry[0] = if partition.boot { 0x80 } else { 0 };
    entry[1..4].copy_from_slice(&chs(first));
    entry[4] = if let PartitionKind::Mbr(kind) = partition.kind { kind } else { 0 };
    entry[5..8].copy_from_slice(&chs(first + count - 1));
    entry[8..12].copy_from_slice(&number(partition.start - origin).to_le_bytes());
    entry[12..].copy_from_slice(&count.to_le_bytes());
    entry
}

/// Head, sector with the cylinder's high bits, cylinder; the largest address when it does not fit.
pub(super) fn chs(lba: u32) -> [u8; 3] {
    let (cylinder, rest) = (lba / (HEADS * SECTORS), lba % (HEADS * SECTORS));
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    let (head, sector) = (rest / SECTORS, rest % SECTORS + 1);
    [head as u8, (sector | (cylinder >> 8) << 6) as u8, cylinder as u8]
}

#[cfg(test)]
mod tests {
    use super::chs;

    #[test]
    fn addresses_beyond_1023_cylinders_are_the_largest() {
        assert_eq!(chs(0), [0, 1, 0]);
        assert_eq!(chs(2048), [32, 33, 0]);
        assert_eq!(chs(300 * 255 * 63), [0, 0x41, 44]);
        assert_eq!(chs(1024 * 255 * 63 - 1), [254, 0xff, 0xff]);
        assert_eq!(chs(1024 * 255 * 63), [254, 0xff, 0xff]);
    }
}
