//! `--dib-strict`: what of DIB's defects an image may depend on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use camino::Utf8Path;
use kiln::disk::layout::{Layout, PartitionKind};
use kiln::disk::{config, direct, solve};
use kiln::event::Events;
use kiln::plan::DiskParameters;

use crate::support::{Sandbox, approve, stderr, stdout, upstream_elements};
use crate::workshop::Workshop;

/// A partition: primary, to boot from, MiB, type.
type Wish = (bool, bool, u64, u8);

/// Writes a disk of `size` MiB with DIB's own writer.
fn by_dib(file: &Path, size: u64, wishes: &[Wish]) {
    const DRIVER: &str = "
import runpy, sys, json
MBR = runpy.run_path(sys.argv[1])['MBR']
path, size, wishes = sys.argv[2], int(sys.argv[3]) << 20, json.loads(sys.argv[4])
open(path, 'wb').truncate(size)
with MBR(path, size, 1 << 20) as table:
    for primary, boot, mebibytes, kind in wishes:
        table.add_partition(primary, boot, mebibytes << 20, kind)
";
    let writer = upstream_elements().join("../block_device/level1/mbr.py");
    let wishes = serde_json::to_string(wishes).unwrap();
    let words = [writer.to_str().unwrap(), file.to_str().unwrap(), &size.to_string(), &wishes];
    approve("python3", &[&["-B", "-c", DRIVER][..], &words].concat());
}

/// Writes the same with kiln. The first partition is the root.
fn by_kiln(sandbox: &Sandbox, file: &Path, size: u64, wishes: &[Wish], dib_strict: bool) -> Layout {
    let partition = |(index, (primary, boot, mebibytes, kind)): (usize, &Wish)| {
        let flags = [("primary", *primary), ("boot", *boot)].into_iter().filter(|(_, set)| *set).map(|(name, _)| name);
        let root = if index == 0 { ", mkfs: {name: mkfs_root, mount: {mount_point: /}}" } else { "" };
        let flags = flags.collect::<Vec<_>>().join(", ");
        format!("{{name: p{index}, size: {mebibytes}MiB, type: '{kind:#04x}', flags: [{flags}]{root}}}")
    };
    let partitions = wishes.iter().enumerate().map(partition).collect::<Vec<_>>().join(", ");
    let text = format!(
        "[{{local_loop: {{name: image0}}}}, {{partitioning: {{base: image0, label: mbr, partitions: [{partitions}]}}}}]"
    );
    let parameters = DiskParameters {
        image_size: None,
        image_extra_size: None,
        journal_size: 4 << 20,
        efi: false,
        root_fs_type: "ext4".into(),
        root_label: None,
        mkfs_options: Vec::new(),
        max_online_resize: None,
        dib_strict,
    };
    let config = config::parse(&text, "test").unwrap_or_else(|error| panic!("{text}: {error}"));
    let layout = solve::solve(&config, &parameters, size << 20, "seed").unwrap();
    let tree = sandbox.path().join("tree");
    fs::create_dir_all(&tree).unwrap();
    let utf8 = |path: &Path| Utf8Path::from_path(path).unwrap().to_owned();
    let (secrets, events) = (BTreeMap::new(), Events::none());
    let content = direct::Content { tree: &utf8(&tree), time: None, secrets: &secrets, events: &events };
    direct::write(&layout, &[("image0".to_owned(), utf8(file))], &content).unwrap();
    layout
}

/// The tables of a disk: of its first sector and of each EBR, without the disk's own number.
fn tables(file: &Path, layout: &Layout) -> Vec<Vec<u8>> {
    let partitions = &layout.disks[0].partitions;
    let extended = partitions.iter().find(|partition| partition.kind == PartitionKind::Mbr(0x0f));
    let logical: Vec<u64> = partitions.iter().filter(|part| part.number >= 5).map(|part| part.start).collect();
    let gap = extended.map_or(0, |extended| logical[0] - extended.start);
    let mut opened = File::open(file).unwrap();
    let places = [0].into_iter().chain(logical.iter().map(|start| start - gap));
    places
        .map(|place| {
            let mut table = vec![0; 66];
            opened.seek(SeekFrom::Start(place + 446)).unwrap();
            opened.read_exact(&mut table).unwrap();
            table
        })
        .collect()
}

#[test]
fn partition_tables_are_dibs_byte_for_byte() {
    let sandbox = Sandbox::new();
    let cases: [(u64, &[Wish]); 4] = [
        (200, &[(true, true, 190, 0x83)]),
        // Cylinders above 255, and the end of what CHS can say.
        (5000, &[(true, true, 2500, 0x83), (true, false, 2000, 0x82)]),
        (20000, &[(true, true, 64, 0x83), (true, false, 9000, 0x8e), (true, false, 10000, 0x83)]),
        (
            3000,
            &[(true, false, 64, 0x83), (false, true, 100, 0x82), (false, false, 2000, 0x83), (false, false, 300, 0x07)],
        ),
    ];
    for (index, (size, wishes)) in cases.into_iter().enumerate() {
        let file = |name: &str| sandbox.path().join(format!("{name}-{index}"));
        by_dib(&file("dib"), size, wishes);
        let layout = by_kiln(&sandbox, &file("strict"), size, wishes, true);
        assert_eq!(tables(&file("strict"), &layout), tables(&file("dib"), &layout), "{size} MiB, {wishes:?}");
        approve("sfdisk", &["-l", file("strict").to_str().unwrap()]);
        // Without the wish, places and sizes are the same and the addresses are those that others write.
        let usual = by_kiln(&sandbox, &file("kiln"), size, wishes, false);
        assert_eq!(usual.disks[0].partitions, layout.disks[0].partitions);
        assert_ne!(tables(&file("kiln"), &usual), tables(&file("dib"), &layout), "{size} MiB");
    }
}

#[test]
fn room_for_an_efi_system_partition_comes_on_top_of_a_size_that_was_asked_for() {
    let workshop = Workshop::new();
    workshop.element("block-device-efi-none", &[("README.rst", "")]);
    let size = |more: &[&str]| {
        let words = ["-t", "raw", "--image-size", "0.25", "mini", "block-device-efi-none"];
        let output = workshop.dib("disk-image-create", &[&words, more].concat());
        assert!(output.status.success(), "{}", stdout(&output));
        fs::metadata(workshop.path().join("image.raw")).unwrap().len()
    };
    assert_eq!(size(&[]), 1 << 28);
    assert_eq!(size(&["--dib-strict"]), (1 << 28) + (525 << 20));
}

#[test]
fn a_linked_element_has_its_targets_name_and_overridden_package_lists_count() {
    let workshop = Workshop::new();
    workshop.element("real", &[("package-installs.yaml", "first:\n")]);
    workshop.element("os", &[("element-provides", "operating-system\n"), ("package-installs.yaml", "one:\n")]);
    let other = workshop.path().join("other");
    fs::create_dir_all(other.join("os")).unwrap();
    fs::write(other.join("os/package-installs.yaml"), "two:\n").unwrap();
    fs::rename(workshop.path().join("elements/real"), workshop.path().join("real")).unwrap();
    std::os::unix::fs::symlink("../real", workshop.path().join("elements/link")).unwrap();
    let run = |words: &[&str]| {
        let mut command: Command = workshop.sandbox.kiln(words);
        command.env("ELEMENTS_PATH", "elements:other").output().unwrap()
    };
    let names = |words: &[&str]| {
        let output = run(&[&["plan", "-n", "mini"], words].concat());
        stdout(&output)
            .lines()
            .find_map(|line| line.strip_prefix("elements   ").map(str::to_owned))
            .ok_or(stderr(&output))
    };
    assert_eq!(names(&["link"]).unwrap(), "link mini");
    assert_eq!(names(&["--dib-strict", "real"]).unwrap(), "mini real");
    assert!(names(&["--dib-strict", "link"]).unwrap_err().contains("'link' not found"));
    let packages = |words: &[&str]| stdout(&run(&[&["packages", "-n", "os"], words].concat()));
    assert!(packages(&[]).contains(" one ") && !packages(&[]).contains(" two "));
    assert!(packages(&["--dib-strict"]).contains(" one ") && packages(&["--dib-strict"]).contains(" two "));
}

#[test]
fn the_old_name_of_modprobe_goes_with_the_new_one_and_is_refused_strictly() {
    let workshop = Workshop::new();
    for name in ["modprobe", "modprobe-blacklist"] {
        std::os::unix::fs::symlink(upstream_elements().join(name), workshop.path().join("elements").join(name))
            .unwrap();
    }
    let run = |words: &[&str], list: &str| {
        let mut command = workshop.command(&[&["modprobe", "modprobe-blacklist"], words].concat());
        command.env("DIB_MODPROBE_BLACKLIST", list).output().unwrap()
    };
    let output = run(&[], "pcspkr floppy");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("gives way to that of modprobe-blacklist"), "{}", stderr(&output));
    assert_eq!(workshop.read("etc/modprobe.d/blacklist.conf"), "blacklist pcspkr\nblacklist floppy\n");
    let without = run(&[], "");
    assert_eq!(without.status.code(), Some(1));
    assert!(stderr(&without).contains("Please set DIB_MODPROBE_BLACKLIST."), "{}", stderr(&without));
    let strict = run(&["--dib-strict"], "pcspkr");
    assert_eq!(strict.status.code(), Some(1));
    let refused = "There is a duplicated hook in your elements: install.d/80-modprobe-blacklist is in modprobe and";
    assert!(stderr(&strict).contains(refused), "{}", stderr(&strict));
}
