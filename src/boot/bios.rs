//! GRUB's boot code on a disk that a PC BIOS starts.
//!
//! In: `boot.img` and `core.img` of platform `i386-pc`, the layout, a raw image with its partition table. Out: the image with
//! boot code. The format is the one documented in GRUB's `include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/`:
//! `boot.img` loads one sector, `diskboot.img` (the first of the core image); that one loads the rest by a list of blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

use super::error::BootError;
use super::platform::bios_boot_partition;
use super::{BiosFiles, files};
use crate::disk::layout::{Layout, Table};

const SECTOR: usize = 512;
/// Where `boot.img` keeps the number of the sector that it loads, u64.
const KERNEL_SECTOR: usize = 0x5c;
/// Where `boot.img` jumps over its repair of the drive number.
const DRIVE_CHECK: usize = 0x66;
/// Two NOPs there let the repair happen: some BIOSes start a hard disk with a wrong drive number.
const NO_JUMP: [u8; 2] = [0x90, 0x90];
/// The part of the first sector that may hold a file system's BIOS parameter block.
const PARAMETERS: std::ops::Range<usize> = 3..0x5a;
/// Where code ends and the disk id and the partition table begin.
const CODE_END: usize = 440;
/// Where `diskboot.img` keeps its first list entry: first sector u64, number of sectors u16, segment to load to u16.
const BLOCK_LIST: usize = SECTOR - 12;
/// Segment of the second sector of the core image: `diskboot.img` itself is at 0x8000.
const SEGMENT: u16 = 0x820;

/// The place of a core image on a disk, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    sectors: u64,
    place: &'static str,
    remedy: &'static str,
}

/// See [`super::install`].
pub(super) fn install(bios: &BiosFiles, layout: &Layout, image: &Utf8Path) -> Result<(), BootError> {
    let boot = files::read(&bios.boot_image)?;
    let core = files::read(&bios.core_image)?;
    let region = region(layout, &bios.disk)?;
    let file = OpenOptions::new().read(true).write(true).open(image).map_err(BootError::file("open", image))?;
    let mut first = [0; SECTOR];
    file.read_exact_at(&mut first, 0).map_err(BootError::file("read", image))?;
    if first[SECTOR - 2..] != [0x55, 0xaa] {
        return Err(BootError::NoTable { image: image.to_owned() });
    }
    let room = region.sectors * SECTOR as u64;
    if core.len() as u64 > room {
        return Err(BootError::TooLarge {
            size: core.len() as u64,
            room,
            place: region.place,
            disk: bios.disk.clone(),
            remedy: region.remedy,
        });
    }
    let malformed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |reason| BootError::Malformed { path, reason }
    };
    let core = place_core(core, region.start).map_err(malformed(&bios.core_image))?;
    let first = place_boot(&boot, &first, region.start).map_err(malformed(&bios.boot_image))?;
    file.write_all_at(&core, region.start * SECTOR as u64).map_err(BootError::file("write", image))?;
    file.write_all_at(&first, 0).map_err(BootError::file("write", image))
}

/// The gap behind the first sector, or the BIOS boot partition.
fn region(layout: &Layout, disk: &str) -> Result<Region, BootError> {
    let no_place = |reason| BootError::NoPlace { disk: disk.to_owned(), arch: "i386-pc".to_owned(), reason };
    let found = layout.disk(disk).ok_or_else(|| no_place("the layout has no such disk"))?;
    match found.table {
        None => Err(no_place("it has no partition table, and so no gap for GRUB's core image")),
        Some(Table::Mbr { .. }) => {
            let end = found.partitions.iter().map(|partition| partition.start).min().unwrap_or(found.size);
            Ok(Region {
                start: 1,
                sectors: (end / SECTOR as u64).saturating_sub(1),
                place: "the gap before the first partition",
                remedy: "start the first partition at 1 MiB (`align: 1MiB`)",
            })
        }
        Some(Table::Gpt { .. }) => {
            let partition = bios_boot_partition(found).ok_or_else(|| no_place("it has no BIOS boot partition"))?;
            Ok(Region {
                start: partition.start / SECTOR as u64,
                sectors: partition.size / SECTOR as u64,
                place: "the BIOS boot partition",
                remedy: "give the BIOS boot partition 1 MiB or more",
            })
        }
    }
}

/// The disk's first sector with `boot.img`'s code, which loads the sector numbered `core`.
fn place_boot(boot: &[u8], first: &[u8; SECTOR], core: u64) -> Result<[u8; SECTOR], String> {
    let mut sector: [u8; SECTOR] =
        boot.try_into().map_err(|_| format!("it has {} bytes, and boot code has {SECTOR}", boot.len()))?;
    sector[PARAMETERS].copy_from_slice(&first[PARAMETERS]);
    sector[CODE_END..].copy_from_slice(&first[CODE_END..]);
    sector[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&core.to_le_bytes());
    sector[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&NO_JUMP);
    Ok(sector)
}

/// The core image, filled to whole sectors, for a place that begins at sector `start`.
fn place_core(mut core: Vec<u8>, start: u64) -> Result<Vec<u8>, String> {
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    let rest = (core.len() / SECTOR).saturating_sub(1);
    let rest = match u16::try_from(rest) {
        Ok(rest) if rest > 0 => rest,
        _ => return Err(format!("a core image of {} bytes cannot be loaded by a list of blocks", core.len())),
    };
    let list = &mut core[BLOCK_LIST..SECTOR];
    list[..8].copy_from_slice(&(start + 1).to_le_bytes());
    list[8..10].copy_from_slice(&rest.to_le_bytes());
    list[10..].copy_from_slice(&SEGMENT.to_le_bytes());
    Ok(core)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::platform::tests::layout;
    use super::*;

    /// Writes both files and an image whose first sector is full of 7 but for its signature, then installs.
    fn installed(layout: &Layout, core: usize) -> Result<std::fs::File, BootError> {
        let folder = tempfile::tempdir().unwrap();
        let work = Utf8Path::from_path(folder.path()).unwrap();
        let bios =
            BiosFiles { disk: "image0".into(), boot_image: work.join("boot.img"), core_image: work.join("core.img") };
        std::fs::write(&bios.boot_image, [9; SECTOR]).unwrap();
        std::fs::write(&bios.core_image, vec![3; core]).unwrap();
        let raw = std::fs::File::create(work.join("raw")).unwrap();
        let mut first = [7; SECTOR];
        first[510..].copy_from_slice(&[0x55, 0xaa]);
        raw.write_all_at(&first, 0).unwrap();
        raw.set_len(layout.disks[0].size).unwrap();
        install(&bios, layout, &work.join("raw"))?;
        Ok(std::fs::File::open(work.join("raw")).unwrap())
    }

    fn read(raw: &std::fs::File, start: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        raw.read_exact_at(&mut bytes, start).unwrap();
        bytes
    }

    #[test]
    fn boot_code_keeps_the_table_and_the_disk_id() {
        let raw = read(&installed(&layout("mbr"), 3 * SECTOR).unwrap(), 0, SECTOR);
        assert_eq!(raw[440..510], [7; 70]);
        assert_eq!(raw[510..512], [0x55, 0xaa]);
        assert_eq!(raw[..3], [9; 3]);
        assert_eq!(raw[3..0x5a], [7; 0x57]);
        assert_eq!(raw[0x5c..0x64], 1_u64.to_le_bytes());
        assert_eq!(raw[0x66..0x68], [0x90, 0x90]);
        assert_eq!(raw[0x68..440], [9; 440 - 0x68]);
    }

    #[test]
    fn the_core_image_follows_the_first_sector_of_a_dos_disk() {
        let raw = read(&installed(&layout("mbr"), 2 * SECTOR + 1).unwrap(), 0, 1 << 21);
        assert_eq!(raw[SECTOR..SECTOR + BLOCK_LIST], [3; BLOCK_LIST]);
        assert_eq!(raw[0x3f4..0x400], [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08]);
        assert_eq!(raw[1024..1537], [3; 513]);
        assert!(raw[1537..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_core_image_goes_into_the_bios_boot_partition_of_a_gpt() {
        let raw = installed(&layout("efi"), 4 * SECTOR).unwrap();
        let start = 551_u64 << 11;
        assert_eq!(read(&raw, 0x5c, 8), start.to_le_bytes());
        let core = read(&raw, 551 << 20, SECTOR);
        assert_eq!(core[BLOCK_LIST..BLOCK_LIST + 8], (start + 1).to_le_bytes());
        assert_eq!(core[BLOCK_LIST + 8..SECTOR], [3, 0, 0x20, 0x08]);
        assert_eq!(read(&raw, SECTOR as u64, 8 * SECTOR), [0; 8 * SECTOR]);
    }

    #[test]
    fn a_core_image_must_end_before_the_first_partition() {
        let gap = (1 << 20) - SECTOR;
        assert!(installed(&layout("mbr"), gap).is_ok());
        let error = installed(&layout("mbr"), gap + 1).unwrap_err();
        assert!(matches!(error, BootError::TooLarge { room, .. } if room == gap as u64), "{error}");
    }

    #[test]
    fn a_core_image_must_fit_the_bios_boot_partition() {
        let mut layout = layout("gpt");
        layout.disks[0].partitions[0].size = 4096;
        assert!(installed(&layout, 4096).is_ok());
        let error = installed(&layout, 4097).unwrap_err();
        assert!(error.to_string().contains("the BIOS boot partition"), "{error}");
    }

    #[test]
    fn a_gpt_without_a_bios_boot_partition_is_refused() {
        let mut layout = layout("gpt");
        layout.disks[0].partitions.remove(0);
        assert!(matches!(installed(&layout, 4096), Err(BootError::NoPlace { .. })));
    }

    #[test]
    fn an_image_without_a_table_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let work = Utf8Path::from_path(folder.path()).unwrap();
        let names = ["boot.img", "core.img", "raw"].map(|name| work.join(name));
        for name in &names {
            std::fs::write(name, [0; 2048]).unwrap();
        }
        let [boot_image, core_image, raw] = names;
        let bios = BiosFiles { disk: "image0".into(), boot_image, core_image };
        assert!(matches!(install(&bios, &layout("mbr"), &raw), Err(BootError::NoTable { .. })));
        assert_eq!(std::fs::read(raw).unwrap(), [0; 2048]);
    }

    proptest! {
        #[test]
        fn the_block_list_covers_the_core_image_exactly(size in 513_usize..2_000_000, start in 1_u64..1 << 40) {
            let core = place_core(vec![1; size], start).unwrap();
            let sectors = u16::from_le_bytes([core[0x1fc], core[0x1fd]]);
            prop_assert_eq!(core.len(), (usize::from(sectors) + 1) * SECTOR);
            prop_assert!(core.len() - size < SECTOR);
            prop_assert_eq!(&core[BLOCK_LIST..BLOCK_LIST + 8], &(start + 1).to_le_bytes());
        }
    }
}
