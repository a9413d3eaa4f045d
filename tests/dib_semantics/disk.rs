//! What hooks see of the disk, and what options and elements make of it.

use std::fs;

use super::good;
use crate::support::{approve, stderr};
use crate::workshop::Workshop;

/// Phases whose hooks run outside the image, and those whose run in it.
const OUTSIDE: [&str; 6] = ["root", "extra-data", "post-root", "block-device", "pre-finalise", "cleanup"];
const INSIDE: [&str; 4] = ["pre-install", "install", "post-install", "finalise"];

/// An element whose hooks note in each phase what they see of the disk: `PHASE size device devices`.
fn noting(workshop: &Workshop, left_out: &[&str]) {
    let line = "PHASE ${DIB_IMAGE_SIZE-none} ${IMAGE_BLOCK_DEVICE-none} ${IMAGE_BLOCK_DEVICES-none}";
    for phase in OUTSIDE.iter().filter(|phase| !left_out.contains(phase)) {
        let hook = format!("#!/bin/bash\necho \"{}\" >> \"$TMP_MOUNT_PATH/etc/noted\"\n", line.replace("PHASE", phase));
        workshop.element("noting", &[(&format!("{phase}.d/50-note"), &hook)]);
    }
    for phase in INSIDE {
        let hook = format!("#!/bin/bash\necho \"{}\" >> /etc/noted\n", line.replace("PHASE", phase));
        workshop.element("noting", &[(&format!("{phase}.d/50-note"), &hook)]);
    }
}

#[test]
fn block_devices_are_known_from_pre_finalise_on_and_the_size_changes_its_unit() {
    let workshop = Workshop::new();
    noting(&workshop, &[]);
    workshop.build(&["noting", "--image-size", "0.25"]);
    let noted = workshop.read("etc/noted");
    let mut phases = Vec::new();
    for line in noted.lines() {
        let (phase, rest) = line.split_once(' ').unwrap();
        phases.push(phase);
        let (size, devices) = rest.split_once(' ').unwrap();
        let late = ["block-device", "pre-finalise", "finalise", "cleanup"].contains(&phase);
        assert_eq!(size, if late { "262144" } else { "0.25" }, "{line}");
        if ["pre-finalise", "finalise", "cleanup"].contains(&phase) {
            let (device, all) = devices.split_once(' ').unwrap();
            assert!(device.starts_with("/dev/loop"), "{line}");
            assert_eq!(all, format!(" [image0]={device} "), "{line}");
        } else {
            assert_eq!(devices, "none none", "{line}");
        }
    }
    let all = "root extra-data pre-install install post-install post-root block-device pre-finalise finalise cleanup";
    assert_eq!(phases.join(" "), all);
}

#[test]
fn the_size_is_in_kib_also_where_no_disk_is_attached() {
    let workshop = Workshop::new();
    noting(&workshop, &["block-device"]);
    let noted = |words: &[&str]| {
        workshop.build(&[&["noting", "--disk-writer", "direct"], words].concat());
        workshop.read("etc/noted")
    };
    for line in noted(&["--image-size", "0.25"]).lines() {
        let late = ["pre-finalise", "finalise", "cleanup"].contains(&line.split(' ').next().unwrap());
        let size = if late { " 262144 none none" } else { " 0.25 none none" };
        assert!(line.ends_with(size), "{line}");
    }
    // Without a size of the user's it is what the tree needs, in steps of 64.
    for line in noted(&["-t", "raw"]).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "pre-finalise" | "finalise" | "cleanup" => {
                let size: u64 = words[1].parse().unwrap();
                assert!(size > 64 << 10 && size.is_multiple_of(64), "{line}");
                let written = fs::metadata(workshop.path().join("out.raw")).unwrap().len();
                assert!(written.abs_diff(size << 10) <= 1 << 20, "{line}: {written}");
            }
            _ => assert_eq!(words[1], "none", "{line}"),
        }
    }
}

#[test]
fn what_a_hook_of_block_device_d_prints_is_told_to_later_hooks_and_never_run() {
    let workshop = Workshop::new();
    let print =
        "#!/bin/bash\necho \"IMAGE_BLOCK_DEVICE='/dev/of-the-hook \\$(touch $PWD/was-run)'\"\necho PATH=/nowhere\n";
    let look = "#!/bin/bash\necho \"$IMAGE_BLOCK_DEVICE $PATH\" >> \"$TMP_MOUNT_PATH/etc/seen\"\n";
    workshop.element(
        "a",
        &[("block-device.d/50-old", print), ("block-device.d/60-look", look), ("pre-finalise.d/50-look", look)],
    );
    let output = workshop.build(&["a", "-t", "raw"]);
    let seen = workshop.read("etc/seen");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 2, "{seen}");
    for line in lines {
        assert!(line.starts_with("/dev/of-the-hook $(touch ") && !line.contains("/nowhere"), "{line}");
    }
    assert!(!workshop.path().join("was-run").exists());
    assert!(workshop.path().join("out.raw").exists(), "the disk is made whatever the hook says");
    let said = stderr(&output);
    assert!(
        said.contains("block-device.d/50-old printed IMAGE_BLOCK_DEVICE=") && said.contains("deprecated"),
        "{said}"
    );
}

#[test]
fn any_element_with_block_device_efi_in_its_name_makes_room_for_it() {
    let workshop = Workshop::new();
    workshop.element("my-block-device-efi-4k", &[("README.rst", "")]);
    let words = ["plan", "--json", "-n", "--elements-path", "elements", "mini"];
    let efi = |more: &[&str]| {
        let output = good(workshop.sandbox.kiln(&[&words, more].concat()).output().unwrap());
        let plan: kiln::plan::Plan = serde_json::from_slice(&output.stdout).unwrap();
        plan.disk.parameters.efi
    };
    assert!(efi(&["my-block-device-efi-4k"]) && !efi(&[]));
}

#[test]
fn options_about_the_disk_are_seen_in_it() {
    let workshop = Workshop::new();
    let header = |words: &[&str]| {
        good(workshop.dib("disk-image-create", &[&["-t", "raw", "mini"], words].concat()));
        let raw = workshop.path().join("image.raw");
        (fs::metadata(&raw).unwrap().len(), approve("dumpe2fs", &["-h", raw.to_str().unwrap()]))
    };
    let (usual, text) = header(&[]);
    assert!(text.contains("cloudimg-rootfs"), "{text}");
    let (size, text) =
        header(&["--image-size=0.25", "--mkfs-journal-size", "8", "--root-label", "mine", "--mkfs-options=-m 7"]);
    assert_eq!(size, 1 << 28);
    assert!(text.contains("Total journal size:       8M") && text.contains("Filesystem volume name:   mine"), "{text}");
    let number = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().unwrap()
    };
    let share = number(&text, "Reserved block count:") / number(&text, "Block count:");
    assert!((0.069..0.071).contains(&share), "{share}");
    // MiB beyond what the tree takes, instead of two thirds more than that; the journal comes on top of both.
    let (extra, _) = header(&["--image-extra-size", "200", "--mkfs-journal-size", "4"]);
    let (more, _) = header(&["--image-extra-size", "300", "--mkfs-journal-size", "4"]);
    assert_eq!(more - extra, 100 << 20);
    let (journal, _) = header(&["--image-extra-size", "200", "--mkfs-journal-size", "14"]);
    assert_eq!(journal - extra, 10 << 20);
    assert!(usual < extra + (200 << 20));
    let (_, text) = header(&["--image-size=0.25", "--max-online-resize", "4194304"]);
    assert!(number(&text, "Reserved GDT blocks:") > 0.0, "{text}");
}

#[test]
fn labels_and_mount_points_are_known_before_there_is_a_disk() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\necho \"$DIB_ROOT_LABEL $DIB_ROOT_FSTYPE $DIB_BOOT_LABEL $DIB_MOUNTPOINTS\" \
                > \"$TMP_MOUNT_PATH/etc/known\"\n";
    workshop.element("a", &[("root.d/50-x", hook)]);
    let description = "[{local_loop: {name: image0}}, {partitioning: {base: image0, label: gpt, partitions: [\
        {name: sw, size: 8MiB, mkfs: {type: swap, label: swaps, mount: {mount_point: none}}}, \
        {name: boot, size: 64MiB, mkfs: {type: ext2, mount: {mount_point: /boot}}}, \
        {name: root, size: 100%, mkfs: {name: mkfs_root, mount: {mount_point: /}}}]}}]";
    let mut command = workshop.command(&["a"]);
    good(command.env("DIB_BLOCK_DEVICE_CONFIG", description).env("ROOT_LABEL", "mine").output().unwrap());
    // The label of /boot is the name of its node; mount points stand in the order of the description.
    assert_eq!(workshop.read("etc/known"), "mine ext4 mkfs_boot none|/boot|/\n");
}
