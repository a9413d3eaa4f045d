use proptest::prelude::*;

use super::*;
use crate::disk::config::{self, parse};
use crate::disk::layout::{PartitionKind, Table};

const MIB: u64 = 1 << 20;
const MBR: &str = include_str!("../testdata/block-device-mbr.yaml");
const GPT: &str = include_str!("../testdata/block-device-gpt.yaml");
const EFI: &str = include_str!("../testdata/block-device-efi.yaml");

pub(in crate::disk) fn parameters() -> DiskParameters {
    DiskParameters {
        image_size: None,
        image_extra_size: None,
        journal_size: 64 * MIB,
        efi: false,
        root_fs_type: "ext4".into(),
        root_label: None,
        mkfs_options: Vec::new(),
        max_online_resize: None,
        dib_strict: false,
    }
}

fn layout(text: &str, size: u64) -> Layout {
    solve(&parse(text, "x").unwrap(), &parameters(), size, "seed").unwrap()
}

/// (number, first sector, sectors) of each partition.
fn sectors(layout: &Layout) -> Vec<(u32, u64, u64)> {
    let sector = u64::from(layout.disks[0].sector_size);
    layout.disks[0].partitions.iter().map(|part| (part.number, part.start / sector, part.size / sector)).collect()
}

#[test]
fn one_gib_mbr_is_where_dib_puts_it() {
    let layout = layout(MBR, 1 << 30);
    assert_eq!(sectors(&layout), [(1, 2048, 2_095_103 - 2048 + 1)]);
    assert!(layout.disks[0].partitions[0].boot);
    assert_eq!(layout.filesystems[0].options, ["-i", "4096", "-J", "size=64"]);
}

#[test]
fn gpt_begins_at_one_mib_and_keeps_two() {
    assert_eq!(sectors(&layout(GPT, 1 << 30)), [(1, 2048, 16384), (2, 18432, 1014 * 2048)]);
}

#[test]
fn efi_has_its_three_partitions() {
    let layout = layout(EFI, (2 << 30) + 65536);
    let rest = (2048 - 2 - 550 - 8) * 2048;
    assert_eq!(sectors(&layout), [(1, 2048, 550 * 2048), (2, 551 * 2048, 8 * 2048), (3, 559 * 2048, rest)]);
    assert_eq!(layout.at("/boot/efi").unwrap().label, "MKFS_ESP");
    assert_eq!(layout.at("/").unwrap().label, "cloudimg-rootfs");
}

#[test]
fn logical_partitions_follow_their_ebr_inside_the_extended_one() {
    let text = "
- local_loop: { name: image0, size: 1GiB }
- partitioning:
    base: image0
    label: mbr
    partitions:
    - { name: a, flags: [primary], size: 100MiB }
    - { name: b, size: 100MiB }
    - { name: root, size: 100%, mkfs: { name: mkfs_root, mount: { mount_point: / } } }
";
    let layout = layout(text, 0);
    let expected = [(1, 1, 100), (2, 101, 923), (5, 102, 100), (6, 203, 821)]
        .map(|(n, start, size)| (n, start * 2048, size * 2048));
    assert_eq!(sectors(&layout), expected);
    assert_eq!(layout.disks[0].partitions[1].kind, PartitionKind::Mbr(0x0f));
}

#[test]
fn what_a_table_cannot_hold_is_refused() {
    let many = |flags: &str, count: usize| {
        let entry = |n: usize| format!("    - {{ name: p{n}, size: 10MiB, flags: [{flags}] }}\n");
        let entries: String = (0..count).map(entry).collect();
        let root = "    - { name: root, size: 100%, flags: [primary], mkfs: { name: mkfs_root, mount: { mount_point: / } } }\n";
        format!(
            "- local_loop: {{ name: image0 }}\n- partitioning:\n    base: image0\n    label: mbr\n    partitions:\n{entries}{root}"
        )
    };
    let solved = |text: &str, size| solve(&parse(text, "x").unwrap(), &parameters(), size, "s");
    assert!(solved(&many("primary", 3), 1 << 30).is_ok());
    assert!(matches!(solved(&many("primary", 4), 1 << 30), Err(LayoutError::TooManyPrimaries { primary: 5, .. })));
    assert!(matches!(solved(MBR, 3 << 41), Err(LayoutError::TooLargeForMbr { .. })));
    let error = solved(EFI, 400 << 20).unwrap_err();
    assert!(error.to_string().contains("`ESP` on `image0` needs 550 MiB, but only 398 MiB"), "{error}");
    assert!(error.to_string().contains("at least 552 MiB"), "{error}");
    assert!(matches!(solved(EFI, 560 << 20), Err(LayoutError::Empty { .. })));
    assert!(matches!(solved(MBR, 0), Err(LayoutError::NoSize { .. })));
}

#[test]
fn the_root_takes_its_type_label_and_options_from_the_request() {
    let request = DiskParameters {
        root_fs_type: "xfs".into(),
        mkfs_options: vec!["-K".into()],
        max_online_resize: Some(1 << 40),
        ..parameters()
    };
    let solved = solve(&config::default_config(), &request, 1 << 30, "s").unwrap();
    let root = solved.at("/").unwrap();
    assert_eq!(
        (root.kind.as_str(), root.label.as_str(), root.options.as_slice()),
        ("xfs", "img-rootfs", &["-K".to_owned()][..])
    );
    // The number is mkfs's own, in blocks.
    let growing = DiskParameters { max_online_resize: Some(4_194_304), ..parameters() };
    let solved = solve(&config::default_config(), &growing, 1 << 30, "s").unwrap();
    assert_eq!(solved.at("/").unwrap().options.last().map(String::as_str), Some("resize=4194304"));
    let named = DiskParameters { root_label: Some("a-label-of-17-chr".into()), ..parameters() };
    assert!(matches!(solve(&config::default_config(), &named, 1 << 30, "s"), Err(LayoutError::Label { .. })));
}

#[test]
fn facts_are_known_before_anything_is_solved() {
    let config = parse(EFI, "x").unwrap();
    assert_eq!(root_label(&config, &parameters()), "cloudimg-rootfs");
    assert_eq!(root_fs_type(&config, &parameters()), "ext4");
    let request = DiskParameters { root_label: Some("mine".into()), root_fs_type: "xfs".into(), ..parameters() };
    assert_eq!((root_label(&config, &request).as_str(), root_fs_type(&config, &request)), ("mine", "xfs"));
}

#[test]
fn a_journal_does_not_fill_a_small_file_system() {
    let solved = solve(&config::default_config(), &parameters(), 80 << 20, "s").unwrap();
    assert_eq!(solved.filesystems[0].options[3], "size=10");
}

#[test]
fn identifiers_follow_from_the_seed_and_differ_from_each_other() {
    let solved = |seed| solve(&parse(EFI, "x").unwrap(), &parameters(), 2 << 30, seed).unwrap();
    assert_eq!(solved("a"), solved("a"));
    let identifiers = |layout: Layout| {
        let Some(Table::Gpt { guid }) = layout.disks[0].table else { panic!("no GPT") };
        let partitions = layout.disks[0].partitions.iter().filter_map(|partition| partition.guid);
        let filesystems = layout.filesystems.iter().map(|filesystem| filesystem.uuid);
        std::iter::once(guid).chain(partitions).chain(filesystems).collect::<std::collections::HashSet<_>>()
    };
    let (a, b) = (identifiers(solved("a")), identifiers(solved("b")));
    assert_eq!(a.len(), 6);
    assert!(a.is_disjoint(&b));
}

fn partition_size() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u64..3000).prop_map(|mib| format!("{mib}MiB")),
        (1_000_000u64..3_000_000_000).prop_map(|bytes| bytes.to_string()),
        (1u64..=100).prop_map(|share| format!("{share}%")),
    ]
}

proptest! {
    #[test]
    fn partitions_are_in_order_aligned_apart_and_on_the_disk(
        gpt in any::<bool>(),
        four_k in any::<bool>(),
        primaries in 0usize..4,
        sizes in prop::collection::vec(partition_size(), 1..9),
        disk in 4u64 << 20..16 << 30,
    ) {
        let mut text = format!("- local_loop: {{ name: image0, block_size: {} }}\n", if four_k { 4096 } else { 512 });
        text += &format!("- partitioning:\n    base: image0\n    label: {}\n    partitions:\n", if gpt { "gpt" } else { "mbr" });
        for (index, size) in sizes.iter().enumerate() {
            let flags = if !gpt && index < primaries { "primary" } else { "" };
            let mkfs = if index == 0 { ", mkfs: { name: mkfs_root, mount: { mount_point: / } }" } else { "" };
            text += &format!("    - {{ name: p{index}, size: {size}, flags: [{flags}]{mkfs} }}\n");
        }
        let Ok(layout) = solve(&parse(&text, "x").unwrap(), &parameters(), disk, "s") else { return Ok(()) };
        let disk = &layout.disks[0];
        let data: Vec<_> = disk.partitions.iter().filter(|part| part.kind != PartitionKind::Mbr(0x0f)).collect();
        prop_assert_eq!(data.len(), sizes.len());
        for part in &data {
            prop_assert_eq!(part.start % MIB, 0);
            prop_assert!(part.size > 0 && part.size % u64::from(disk.sector_size) == 0);
            prop_assert!(part.start >= MIB && part.start + part.size <= disk.size);
        }
        for pair in data.windows(2) {
            // A logical partition leaves a unit before it for its EBR.
            let gap = if pair[1].number >= 5 && !gpt { MIB } else { 0 };
            prop_assert!(pair[0].number < pair[1].number);
            prop_assert!(pair[0].start + pair[0].size + gap <= pair[1].start);
        }
        if gpt {
            prop_assert!(data.iter().map(|part| part.size).sum::<u64>() <= disk.size - 2 * MIB);
        }
        if let Some(extended) = disk.partitions.iter().find(|part| part.kind == PartitionKind::Mbr(0x0f)) {
            prop_assert_eq!(extended.start + extended.size, disk.size);
            let first = data.iter().find(|part| part.number >= 5).unwrap();
            prop_assert_eq!(first.start - extended.start, MIB);
        }
    }
}
