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

/// What firmware assumes of a disk that is larger than CHS can say. DIB counts with one head less.
const HEADS: u32 = 255;
const SECTORS: u32 = 63;
/// Links from one EBR to the next have this type.
const LINK: u8 = 0x05;

/// Writes the table and the EBRs; the 440 bytes before the disk's signature stay as they are. With `dib_strict` CHS addresses and
/// the lengths of links are those that DIB writes, which no kernel looks at.
pub(super) fn write(
    disk: &Disk,
    disk_id: u32,
    dib_strict: bool,
    file: &File,
    image: &Utf8Path,
) -> Result<(), DiskError> {
    let put = |bytes: &[u8], at: u64| {
        file.write_all_at(bytes, at).map_err(DiskError::io("write the partition table of", image))
    };
    let form = Form { sector: u64::from(disk.sector_size), dib_strict };
    let mut table = [0; 64];
    for partition in disk.partitions.iter().filter(|partition| partition.number < 5) {
        let slot = (partition.number as usize - 1) * 16;
        table[slot..slot + 16].copy_from_slice(&form.entry(partition, 0));
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
        record[..16].copy_from_slice(&form.entry(partition, at));
        if let Some(next) = logical.get(index + 1) {
            // DIB counts the room up to the next EBR to the link.
            let end = next.start + next.size;
            let end = if dib_strict { end.next_multiple_of(gap) } else { end };
            let link = Partition {
                start: next.start - gap,
                size: end - (next.start - gap),
                kind: PartitionKind::Mbr(LINK),
                boot: false,
                ..(*next).clone()
            };
            record[16..32].copy_from_slice(&form.entry(&link, extended.start));
        }
        record[64..].copy_from_slice(&[0x55, 0xaa]);
        put(&record, at + 446)?;
    }
    Ok(())
}

/// How entries are written.
struct Form {
    sector: u64,
    dib_strict: bool,
}

impl Form {
    /// An entry whose sector numbers count from the byte `origin`; CHS counts from the disk's beginning, but for DIB.
    fn entry(&self, partition: &Partition, origin: u64) -> [u8; 16] {
        // `solve` refused disks of more than 2^32 sectors.
        let number = |bytes: u64| u32::try_from(bytes / self.sector).unwrap_or(u32::MAX);
        let (first, count) = (number(partition.start), number(partition.size));
        let relative = number(partition.start - origin);
        let (begin, end) = if self.dib_strict {
            (dib_chs(relative), dib_chs(relative.saturating_add(count)))
        } else {
            (chs(first), chs(first + count - 1))
        };
        let mut entry = [0; 16];
        entry[0] = if partition.boot { 0x80 } else { 0 };
        entry[1..4].copy_from_slice(&begin);
        entry[4] = if let PartitionKind::Mbr(kind) = partition.kind { kind } else { 0 };
        entry[5..8].copy_from_slice(&end);
        entry[8..12].copy_from_slice(&relative.to_le_bytes());
        entry[12..].copy_from_slice(&count.to_le_bytes());
        entry
    }
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

/// The same as DIB has it: one head less, and high bits of the cylinder that run into the sector.
fn dib_chs(lba: u32) -> [u8; 3] {
    let heads = HEADS - 1;
    let (cylinder, head, sector) = if lba > heads * SECTORS * 1023 {
        (1023, heads, SECTORS)
    } else {
        (lba / (heads * SECTORS), lba / SECTORS % heads, lba % SECTORS + 1)
    };
    [head as u8, (sector | (cylinder / 4)) as u8, cylinder as u8]
}

#[cfg(test)]
mod tests {
    use super::{chs, dib_chs};

    #[test]
    fn strict_addresses_have_254_heads_and_mixed_bits() {
        assert_eq!(dib_chs(2048), [32, 33, 0]);
        // Cylinder 5: its upper bits are not those that CHS has them in.
        assert_eq!(dib_chs(5 * 254 * 63), [0, 1, 5]);
        assert_eq!(dib_chs(8 * 254 * 63), [0, 3, 8]);
        assert_eq!(dib_chs(1023 * 254 * 63 + 1), [254, 255, 255]);
    }

    #[test]
    fn addresses_beyond_1023_cylinders_are_the_largest() {
        assert_eq!(chs(0), [0, 1, 0]);
        assert_eq!(chs(2048), [32, 33, 0]);
        assert_eq!(chs(300 * 255 * 63), [0, 0x41, 44]);
        assert_eq!(chs(1024 * 255 * 63 - 1), [254, 0xff, 0xff]);
        assert_eq!(chs(1024 * 255 * 63), [254, 0xff, 0xff]);
    }
}
