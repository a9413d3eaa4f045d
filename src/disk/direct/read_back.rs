//! Tables that were written are read back by others: GPTs by the crate `gpt`, MBRs as a BIOS reads them.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use proptest::prelude::*;

use super::partition;
use crate::disk::config;
use crate::disk::examples::{self, EXAMPLES};
use crate::disk::layout::{Disk, Layout, PartitionKind, Table};
use crate::disk::solve::{solve, tests::parameters};

/// Number, first byte, bytes, type, active.
type Found = (u32, u64, u64, PartitionKind, bool);

fn written(disk: &Disk) -> (tempfile::TempDir, File) {
    let folder = tempfile::tempdir().unwrap();
    let image = Utf8Path::from_path(folder.path()).unwrap().join("image");
    partition(disk, &image).unwrap();
    let file = File::options().read(true).write(true).open(&image).unwrap();
    assert_eq!(file.metadata().unwrap().len(), disk.size);
    (folder, file)
}

fn read_back(disk: &Disk) {
    let (_folder, file) = written(disk);
    let expected: Vec<Found> =
        disk.partitions.iter().map(|part| (part.number, part.start, part.size, part.kind, part.boot)).collect();
    match disk.table {
        Some(Table::Mbr { disk_id }) => {
            let mut signature = [0; 4];
            file.read_exact_at(&mut signature, 440).unwrap();
            assert_eq!(u32::from_le_bytes(signature), disk_id);
            assert_eq!(mbr(&file, u64::from(disk.sector_size)), expected);
        }
        Some(Table::Gpt { guid }) => {
            let block = if disk.sector_size == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 };
            let table = GptConfig::new().logical_block_size(block).open_from_device(&file).unwrap();
            assert_eq!(table.guid(), &guid);
            assert_eq!(table.partitions().len(), disk.partitions.len());
            for part in &disk.partitions {
                let found = &table.partitions()[&part.number];
                let sector = u64::from(disk.sector_size);
                assert_eq!(
                    (found.first_lba * sector, (found.last_lba + 1) * sector),
                    (part.start, part.start + part.size)
                );
                assert_eq!(
                    (&found.name, Some(found.part_guid), found.flags),
                    (&part.label, part.guid, part.attributes)
                );
                assert_eq!(PartitionKind::Gpt(found.part_type_guid.guid), part.kind);
            }
            let backup = table.backup_header().unwrap();
            assert_eq!((backup.current_lba + 1) * u64::from(disk.sector_size), disk.size);
        }
        None => assert!(expected.is_empty()),
    }
}

/// What an MBR says: its own entries, and those of the chain of extended boot records.
fn mbr(file: &File, sector: u64) -> Vec<Found> {
    let entries = |at: u64| {
        let mut record = [0; 66];
        file.read_exact_at(&mut record, at + 446).unwrap();
        assert_eq!(record[64..], [0x55, 0xaa], "no record at {at}");
        let number = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().unwrap())) * sector;
        let entry = |slot: usize| {
            let bytes = &record[slot * 16..slot * 16 + 16];
            (number(&bytes[8..12]), number(&bytes[12..]), bytes[4], bytes[0] == 0x80)
        };
        (0..4).map(entry).collect::<Vec<_>>()
    };
    let (mut found, mut logical) = (Vec::new(), Vec::new());
    for (number, (start, size, kind, boot)) in (1..).zip(entries(0)).filter(|(_, entry)| entry.2 != 0) {
        found.push((number, start, size, PartitionKind::Mbr(kind), boot));
        if kind == 0x0f {
            let (mut record, mut number) = (start, 5);
            loop {
                let chain = entries(record);
                let (from, size, kind, boot) = chain[0];
                logical.push((number, record + from, size, PartitionKind::Mbr(kind), boot));
                let (next, _, link, _) = chain[1];
                if link == 0 {
                    break;
                }
                assert_eq!(link, 0x05);
                (record, number) = (start + next, number + 1);
            }
        }
    }
    found.extend(logical);
    found
}

#[test]
fn the_tables_of_all_examples_read_back_as_they_were_solved() {
    for example in EXAMPLES {
        example.layout().disks.iter().for_each(read_back);
    }
}

#[test]
fn a_hybrid_mbr_names_its_partitions_beside_the_entry_for_the_gpt() {
    let layout = examples::named("hybrid").layout();
    let (_folder, mut file) = written(&layout.disks[0]);
    let table = ProtectiveMBR::from_disk(&mut file, LogicalBlockSize::Lb512).unwrap();
    let entries: Vec<_> = (0..4)
        .filter_map(|slot| table.partition(slot))
        .map(|entry| (entry.boot_indicator, entry.os_type, entry.lb_start, entry.lb_size))
        .collect();
    let root = &layout.disks[0].partitions[2];
    let (start, size) = ((root.start / 512) as u32, (root.size / 512) as u32);
    // The first entry ends where the first hybrid partition begins: after 8 MiB from 1 MiB on.
    let expected = [(0, 0xee, 1, 18431), (0x80, 0x0c, 18432, 524_288), (0, 0x83, start, size), (0, 0, 0, 0)];
    assert_eq!(entries, expected);
}

fn layout(gpt: bool, four_k: bool, sizes: &[u64], primaries: usize, size: u64) -> Option<Layout> {
    let (sector, label) = (if four_k { 4096 } else { 512 }, if gpt { "gpt" } else { "mbr" });
    let part = |(index, bytes): (usize, &u64)| {
        let flags = if !gpt && index < primaries { "primary" } else { "" };
        let mkfs = if index == 0 { ", mkfs: {name: mkfs_root, mount: {mount_point: /}}" } else { "" };
        format!("{{name: p{index}, size: {bytes}, flags: [{flags}]{mkfs}}}")
    };
    let parts: Vec<_> = sizes.iter().enumerate().map(part).collect();
    let text = format!(
        "- local_loop: {{name: image0, block_size: {sector}}}\n\
         - partitioning: {{base: image0, label: {label}, partitions: [{}]}}\n",
        parts.join(", ")
    );
    solve(&config::parse(&text, "x").unwrap(), &parameters(), size, "s").ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_table_reads_back_as_it_was_solved(
        gpt in any::<bool>(),
        four_k in any::<bool>(),
        primaries in 0usize..4,
        sizes in prop::collection::vec(1u64 << 20..300 << 20, 1..9),
        size in 4u64 << 20..4 << 30,
    ) {
        if let Some(layout) = layout(gpt, four_k, &sizes, primaries, size) {
            read_back(&layout.disks[0]);
        }
    }
}
