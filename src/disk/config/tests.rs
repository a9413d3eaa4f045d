use super::*;
use crate::disk::layout::PartitionKind;
use crate::disk::size::Size;

const EFI: &str = include_str!("../testdata/block-device-efi.yaml");

fn error(text: &str) -> String {
    parse(text, "x.yaml").unwrap_err().to_string()
}

fn without_lines(text: &str) -> Config {
    Config { lines: BTreeMap::new(), ..parse(text, "x").unwrap() }
}

fn with_partition(table: &str, partition: &str) -> String {
    format!(
        "- local_loop:\n    name: image0\n- partitioning:\n    base: image0\n    label: {table}\n    partitions:\n    \
         - {{ name: root, {partition}, mkfs: {{ name: mkfs_root, mount: {{ mount_point: / }} }} }}\n"
    )
}

#[test]
fn the_fallback_reads_as_the_value_that_stands_for_it() {
    assert_eq!(without_lines(DEFAULT), default_config());
}

#[test]
fn tree_and_graph_form_mean_the_same() {
    let graph = "
- local_loop: { name: image0 }
- mkfs: { name: mkfs_root, base: image0 }
- mount: { name: mount_mkfs_root, base: mkfs_root, mount_point: / }
- fstab: { name: fstab_mount_mkfs_root, base: mount_mkfs_root, fsck-passno: 1 }
";
    assert_eq!(without_lines(graph), default_config());
}

#[test]
fn names_are_made_of_kind_and_base() {
    let config = parse(EFI, "x").unwrap();
    let names: Vec<_> = config.filesystems.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["mkfs_ESP", "mkfs_root"]);
    assert_eq!(config.mounts[0].name, "mount_mkfs_ESP");
    assert_eq!(config.fstab[0].name, "fstab_mount_mkfs_ESP");
    assert_eq!(config.mount_points(), ["/", "/boot/efi"]);
}

#[test]
fn lvm_takes_its_name_from_its_base_and_a_list_there_says_nothing() {
    let lists = "pvs: [{name: pv, base: p}], vgs: [{name: vg, base: [pv]}], lvs: [{name: l, base: vg, size: 1GiB, \
                 mkfs: {name: mkfs_root, mount: {mount_point: /}}}]";
    let text = |keys: &str| {
        format!(
            "- local_loop: {{name: image0}}\n- partitioning: {{base: image0, label: gpt, partitions: [{{name: p, size: \
             100%}}]}}\n- lvm: {{{keys}, {lists}}}\n"
        )
    };
    for (keys, name) in [("base: image0", "lvm_image0"), ("name: x, base: image0", "x"), ("name: x, base: [p]", "x")] {
        assert_eq!(parse(&text(keys), "x").unwrap().lvm[0].name, name, "{keys}");
    }
    assert!(error(&text("base: [p]")).contains("lvm: `name` is missing"));
}

/// What `pvs -o pe_start` says after `pvcreate` 2.03.16 with these options, KiB.
#[test]
fn the_first_extent_is_where_pvcreate_puts_it() {
    for (options, start) in [
        ("", 1024),
        ("--dataalignment 256k", 1024),
        ("--dataalignment 1500k", 1500),
        ("--dataalignment 3m", 3072),
        ("--metadatasize 128k", 1024),
        ("--metadatasize 1020k", 1024),
        ("--metadatasize 1021k", 2048),
        ("--metadatasize 1m", 2048),
        ("--metadatasize 1500k --dataalignment 64k", 1536),
        ("--dataalignment 256k --metadatasize 128k", 256),
        ("--metadatasize 8m --dataalignment 3m", 9216),
        ("--metadatasize 130k --dataalignment 4k", 136),
        ("--dataalignment 100k --metadatasize 200k", 300),
    ] {
        let text = format!(
            "- local_loop: {{name: image0}}\n- lvm: {{name: x, pvs: [{{name: pv, base: image0, options: ['{options}']}}], vgs: \
             [{{name: vg, base: [pv]}}], lvs: [{{name: l, base: vg, size: 1GiB, mkfs: {{name: mkfs_root, mount: {{mount_point: \
             /}}}}}}]}}\n"
        );
        assert_eq!(parse(&text, "x").unwrap().lvm[0].physical_volumes[0].data_start, start << 10, "{options}");
    }
}

#[test]
fn types_mean_their_spelling_quoted_or_not() {
    for (table, text, kind) in [
        ("mbr", "0x41", PartitionKind::Mbr(0x41)),
        ("mbr", "'0x41'", PartitionKind::Mbr(0x41)),
        ("mbr", "83", PartitionKind::Mbr(0x83)),
        ("gpt", "8e00", PartitionKind::Gpt(uuid::uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928"))),
        ("gpt", "0700", PartitionKind::Gpt(uuid::uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"))),
        ("gpt", "ef02", PartitionKind::Gpt(uuid::uuid!("21686148-6449-6e6f-744e-656564454649"))),
    ] {
        let config = parse(&with_partition(table, &format!("size: 100%, type: {text}")), "x").unwrap();
        assert_eq!(config.tables[0].partitions[0].kind, kind, "{table} {text}");
    }
}

#[test]
fn sizes_may_be_whole_numbers() {
    let config = parse(&with_partition("gpt", "size: 1048576"), "x").unwrap();
    assert_eq!(config.tables[0].partitions[0].size, PartitionSize::Exactly(Size::Bytes(1 << 20)));
}

#[test]
fn errors_name_the_node_and_the_place_and_what_is_valid() {
    for (text, parts) in [
        (with_partition("gpt", "type: 8300"), vec!["x.yaml:7:", "partition `root`", "`size` is missing"]),
        (with_partition("mbr", "size: 1G, type: EF00"), vec!["`EF00` is not a type of an MBR partition", "0xef"]),
        (with_partition("gpt", "size: 1G, type: 1234"), vec!["`1234` is not a type of a GPT", "EF00"]),
        (with_partition("gpt", "size: 1G, flags: [primary]"), vec!["no primary partitions"]),
        (with_partition("mbr", "size: 1G, flags: [active]"), vec!["unknown flag `active`", "boot and primary"]),
        (with_partition("mbr", "size: 1mib"), vec!["`mib`", "MiB"]),
        (with_partition("bsd", "size: 1G"), vec!["neither `mbr` nor `gpt`"]),
        ("a: b".into(), vec!["a list of nodes"]),
        ("- loop: { name: a }".into(), vec!["`loop` is not a kind of node", "local_loop"]),
        ("- lvm: { name: lvm }".into(), vec!["`pvs` is missing"]),
        ("- local_loop: { name: image0 }".into(), vec!["no file system is mounted at `/`"]),
        ("- mkfs: { type: ext4 }".into(), vec!["mkfs: `base` is missing"]),
        ("- local_loop: { size: 1GiB }".into(), vec!["local_loop: `name` is missing"]),
        (DEFAULT.replace("image0", "image0\n    block_size: 1024"), vec!["neither 512 nor 4096"]),
        (DEFAULT.replace("mkfs_root", "r"), vec!["mkfs `r`: `type` is missing"]),
        (DEFAULT.replace("mkfs_root", "image0\n      type: ext4"), vec!["already taken in line"]),
        (DEFAULT.replace("mkfs_root", "mkfs_root\n      base: nowhere"), vec!["base `nowhere`", "`image0`"]),
        (format!("{DEFAULT}- mkfs: {{ base: image0, type: ext4 }}"), vec!["`image0` is already used by `mkfs_root`"]),
        (DEFAULT.replace("mount_point: /", "mount_point: boot"), vec!["`boot` is not a mount point"]),
        ("- local_loop: [".into(), vec!["not valid YAML"]),
    ] {
        let error = error(&text);
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}\n{text}");
        }
    }
}

#[test]
fn labels_fit_and_fat_shouts() {
    let config = parse(EFI, "x").unwrap();
    assert_eq!(config.filesystems[0].label, None);
    let labelled = EFI.replace("type: vfat", "type: vfat\n          label: efi");
    assert_eq!(parse(&labelled, "x").unwrap().filesystems[0].label.as_deref(), Some("EFI"));
    let long = EFI.replace("type: vfat", "type: xfs\n          label: thirteenchars");
    assert!(error(&long).contains("too long for xfs: 13 bytes, at most 12"));
    let twice = EFI
        .replace("type: vfat", "type: ext4\n          label: a")
        .replace("type: ext4\n          mount", "label: a\n          mount");
    assert!(parse(&twice, "x").is_ok());
}

#[test]
fn boot_label_falls_back_to_the_name_and_is_empty_without_boot() {
    let boot = EFI.replace("/boot/efi", "/boot");
    assert_eq!(parse(&boot, "x").unwrap().boot_label(), "mkfs_ESP");
    assert_eq!(parse(EFI, "x").unwrap().boot_label(), "");
}

#[test]
fn unknown_keys_are_warned_of() {
    let config = parse(&DEFAULT.replace("options:", "option:"), "x").unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("line 8") && config.warnings[0].contains("`option`"), "{:?}", config.warnings);
}
