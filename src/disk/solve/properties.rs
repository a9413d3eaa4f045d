//! What holds for every layout, however it was described.

use std::collections::HashSet;
use std::fmt::Write;

use proptest::prelude::*;

use super::tests::parameters;
use super::{minimum, solve};
use crate::disk::config::{PartitionSize, TableKind, parse};
use crate::disk::examples::EXAMPLES;
use crate::disk::layout::{Device, Disk, Layout, Segment, Table, VolumeGroup, VolumeKind};

const MIB: u64 = 1 << 20;

/// Everything is inside what it lies on, whole in its units, and on nothing else.
fn assert_sound(layout: &Layout) {
    layout.disks.iter().for_each(assert_apart);
    layout.volume_groups.iter().for_each(|group| assert_extents(layout, group));
    for luks in &layout.luks {
        assert!(luks.size > 0 && luks.header + luks.size <= layout.size_of(&luks.device).unwrap());
        assert!(luks.size.is_multiple_of(u64::from(luks.sector_size)));
    }
    for verity in &layout.verity {
        assert!(verity.hash_size <= layout.size_of(&verity.hash).unwrap());
        assert!(verity.data_blocks * u64::from(verity.data_block_size) <= layout.size_of(&verity.data).unwrap());
    }
    let luks = layout.luks.iter().map(|luks| &luks.device);
    let physical = layout.volume_groups.iter().flat_map(|group| &group.physical_volumes).map(|volume| &volume.device);
    let hashes = layout.verity.iter().map(|verity| &verity.hash);
    let mut used: HashSet<&Device> = HashSet::new();
    for device in luks.chain(physical).chain(hashes).chain(layout.filesystems.iter().map(|found| &found.device)) {
        assert!(used.insert(device), "{device} is used twice");
        assert!(layout.disk_of(device).is_some(), "{device} is nowhere");
    }
    for filesystem in &layout.filesystems {
        assert_eq!(Some(filesystem.size), layout.size_of(&filesystem.device));
        if let Some(regions) = layout.regions(&filesystem.device) {
            assert_eq!(regions.iter().map(|region| region.size).sum::<u64>(), filesystem.size);
        }
    }
    let points: Vec<_> = layout.mounts().iter().map(|mounted| mounted.point).collect();
    assert!(points.is_sorted());
}

fn assert_apart(disk: &Disk) {
    let sector = u64::from(disk.sector_size);
    assert!(disk.size.is_multiple_of(sector));
    // Tables: 34 sectors of 512 bytes or 6 of 4096 at the beginning of a GPT, one less at its end.
    let mut end = if disk.table.is_some() { MIB } else { 0 };
    let last = if matches!(disk.table, Some(Table::Gpt { .. })) { disk.size - 33 * sector } else { disk.size };
    let mut ordered: Vec<_> = disk.partitions.iter().filter(|part| !part.is_extended()).collect();
    ordered.sort_by_key(|part| part.start);
    for part in &ordered {
        assert!(part.size > 0 && part.size.is_multiple_of(sector) && part.start.is_multiple_of(4096), "{part:?}");
        // A logical partition has its record before it, also after another logical one.
        let record = if part.number >= 5 && matches!(disk.table, Some(Table::Mbr { .. })) { sector } else { 0 };
        assert!(part.start >= end + record, "{part:?} begins before {end}");
        end = part.start + part.size;
        assert!(end <= last, "{part:?} ends after {last}");
    }
    for extended in disk.partitions.iter().filter(|part| part.is_extended()) {
        for part in &ordered {
            let inside = part.start > extended.start && part.start + part.size <= extended.start + extended.size;
            assert_eq!(inside, part.number >= 5, "{part:?} and {extended:?}");
        }
    }
}

fn assert_extents(layout: &Layout, group: &VolumeGroup) {
    let mut taken: HashSet<(&str, u64)> = HashSet::new();
    let mut take = |segments: &[Segment], size: u64| {
        assert_eq!(segments.iter().map(|part| part.count).sum::<u64>() * group.extent_size, size);
        for part in segments {
            let volume = group.physical_volumes.iter().find(|volume| volume.name == part.physical_volume).unwrap();
            assert!(part.count > 0 && part.first + part.count <= volume.extents);
            for extent in part.first..part.first + part.count {
                assert!(taken.insert((&volume.name, extent)), "extent {extent} of {} has two users", volume.name);
            }
        }
    };
    // Each list lives as long as the group, so names can be borrowed.
    for volume in &group.volumes {
        match &volume.kind {
            VolumeKind::Linear { segments } => take(segments, volume.size),
            VolumeKind::ThinPool { data, metadata, chunk_size } => {
                take(&data.segments, data.size);
                take(&metadata.segments, metadata.size);
                assert_eq!(data.size, volume.size);
                assert!(metadata.size >= data.size / chunk_size * 64 && metadata.size >= 2 * MIB);
                assert!(group.spare.as_ref().unwrap().size >= metadata.size);
            }
            VolumeKind::Thin { .. } => assert!(volume.size.is_multiple_of(group.extent_size)),
        }
    }
    if let Some(spare) = &group.spare {
        take(&spare.segments, spare.size);
    }
    for volume in &group.physical_volumes {
        assert_eq!(Some(volume.size), layout.size_of(&volume.device));
        assert!(volume.data_start + volume.extents * group.extent_size <= volume.size);
    }
}

/// Nodes at the top of a description, one text each.
fn nodes(yaml: &str) -> Vec<String> {
    let mut nodes: Vec<String> = Vec::new();
    for line in yaml.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match nodes.last_mut() {
            Some(node) if !line.starts_with("- ") => *node += &format!("{line}\n"),
            _ => nodes.push(format!("{line}\n")),
        }
    }
    nodes
}

#[test]
fn every_example_is_sound_at_its_size_and_at_its_smallest() {
    for example in EXAMPLES {
        assert_sound(&example.layout());
        let config = example.config();
        let smallest = minimum(&config, &parameters()).unwrap();
        let layout = solve(&config, &parameters(), smallest, "s").unwrap();
        assert_sound(&layout);
        if smallest > MIB {
            assert!(solve(&config, &parameters(), smallest - MIB, "s").is_err(), "{}", example.name);
        }
    }
}

#[test]
fn what_no_size_can_solve_says_why() {
    let label = "- local_loop: {name: image0}\n- partitioning: {base: image0, label: mbr, partitions: [{name: a, size: 100%, mkfs: \
                 {name: mkfs_root, label: a label of many letters, mount: {mount_point: /}}}]}\n";
    let error = minimum(&parse(label, "x").unwrap(), &parameters()).unwrap_err().to_string();
    assert!(error.contains("too long for ext4"), "{error}");
}

#[derive(Clone, Debug)]
struct Part {
    size: String,
    content: &'static str,
}

fn part() -> impl Strategy<Value = Part> {
    let size = prop_oneof![
        (1u64..3000).prop_map(|mib| format!("size: {mib}MiB")),
        (1_000_000u64..3_000_000_000).prop_map(|bytes| format!("size: {bytes}")),
        (1u64..2000, 0u32..5).prop_map(|(mib, weight)| format!("minimum: {mib}MiB, weight: {weight}")),
        (1u32..9).prop_map(|weight| format!("weight: {weight}")),
        (1u64..2000).prop_map(|mib| format!("size: {mib}MiB, grow: yes")),
    ];
    let content =
        prop::sample::select(vec!["", "mkfs: {type: ext2}", "luks: {secret: s, mkfs: {type: ext4}}", "pv", "pv"]);
    (size, content).prop_map(|(size, content)| Part { size, content })
}

/// A description with a root, `parts` beside it, and a group of volumes over those that are to be physical ones.
fn description(gpt: bool, four_k: bool, parts: &[Part], primaries: usize, extent: u64, volumes: &[String]) -> String {
    let (sector, label) = (if four_k { 4096 } else { 512 }, if gpt { "gpt" } else { "mbr" });
    let mut text = format!("- local_loop: {{ name: image0, block_size: {sector} }}\n");
    let _ = write!(text, "- partitioning:\n    base: image0\n    label: {label}\n    partitions:\n");
    let root =
        Part { size: "minimum: 10MiB, weight: 2".into(), content: "mkfs: {name: mkfs_root, mount: {mount_point: /}}" };
    let mut physical = Vec::new();
    for (index, part) in std::iter::once(&root).chain(parts).enumerate() {
        let flags = if !gpt && index < primaries { "primary" } else { "" };
        let content = match part.content {
            "pv" => {
                physical.push(format!("p{index}"));
                String::new()
            }
            content => content.replace("mkfs: {type", &format!("mkfs: {{name: f{index}, type")),
        };
        let separator = if content.is_empty() { "" } else { ", " };
        let _ = writeln!(text, "    - {{ name: p{index}, flags: [{flags}], {}{separator}{content} }}", part.size);
    }
    if !physical.is_empty() && !volumes.is_empty() {
        let list = |format: &dyn Fn(usize, &String) -> String, items: &[String]| {
            items.iter().enumerate().map(|(index, item)| format(index, item)).collect::<Vec<_>>().join(", ")
        };
        let pvs = list(&|_, name| format!("{{name: v{name}, base: {name}}}"), &physical);
        let bases = list(&|_, name| format!("v{name}"), &physical);
        let lvs = list(&|index, size| format!("{{name: l{index}, base: vg, {size}}}"), volumes);
        let _ = writeln!(
            text,
            "- lvm: {{name: lvm, pvs: [{pvs}], vgs: [{{name: vg, base: [{bases}], extent_size: {extent}MiB}}], lvs: [{lvs}]}}"
        );
    }
    text
}

fn volume() -> impl Strategy<Value = String> {
    prop_oneof![
        (4u64..2000).prop_map(|mib| format!("size: {mib}MiB")),
        (1u64..300).prop_map(|extents| format!("extents: {extents}")),
        (1u32..=100).prop_map(|share| format!("extents: {share}%VG")),
        (1u32..=100).prop_map(|share| format!("extents: {share}%FREE")),
        (1u32..=100).prop_map(|share| format!("extents: {share}%FREE, type: thin-pool")),
        (4u64..500).prop_map(|mib| format!("size: {mib}MiB, type: thin-pool, options: ['-c128k']")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_solved_is_sound_and_flexible_partitions_leave_nothing(
        gpt in any::<bool>(),
        four_k in any::<bool>(),
        parts in prop::collection::vec(part(), 0..6),
        primaries in 0usize..4,
        extent in prop::sample::select(vec![1u64, 4, 32]),
        volumes in prop::collection::vec(volume(), 0..5),
        size in 16 * MIB..20 << 30,
    ) {
        let text = description(gpt, four_k, &parts, primaries, extent, &volumes);
        let config = parse(&text, "x").unwrap();
        let Ok(layout) = solve(&config, &parameters(), size, "s") else { return Ok(()) };
        assert_sound(&layout);
        let (disk, table) = (&layout.disks[0], &config.tables[0]);
        for (wanted, found) in table.partitions.iter().zip(disk.partitions.iter().filter(|part| !part.is_extended())) {
            if let PartitionSize::Flexible { minimum, .. } = wanted.size {
                prop_assert!(found.size >= minimum, "{} of {minimum}", found.size);
            }
        }
        // Sums: the root has a weight, so what is left is less than the rounding of each partition and what tables keep.
        let used: u64 = disk.partitions.iter().filter(|part| !part.is_extended()).map(|part| part.size).sum();
        let records = if table.label == TableKind::Mbr { disk.partitions.len() as u64 } else { 0 };
        let slack = (disk.partitions.len() as u64 + 3 + records) * MIB;
        prop_assert!(used <= disk.size && used + slack >= disk.size, "{used} of {}", disk.size);
        // The smallest size fits, and is not larger than this one by more than the rounding to MiB.
        let smallest = minimum(&config, &parameters()).unwrap();
        prop_assert!(smallest <= size.next_multiple_of(MIB));
    }

    #[test]
    fn the_order_of_nodes_does_not_matter(
        (example, nodes) in prop::sample::select(EXAMPLES.to_vec())
            .prop_flat_map(|example| (Just(example), Just(nodes(example.yaml)).prop_shuffle())),
    ) {
        let shuffled = parse(&nodes.concat(), "x").unwrap();
        let layout = solve(&shuffled, &parameters(), example.bytes(), "seed").unwrap();
        prop_assert_eq!(layout, example.layout());
    }
}
