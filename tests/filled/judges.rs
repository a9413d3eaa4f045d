//! The tools of others, each for what is its own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::devices::{Devices, Loop, array};
use crate::support::approve;

/// The partition table of a disk.
pub fn table(devices: &Devices<'_>, disk: &Value) {
    let image = devices.disk(disk["name"].as_str().unwrap());
    assert_eq!(fs::metadata(image).unwrap().len(), disk["size"].as_u64().unwrap());
    let Some(kind) = disk["table"].as_str() else {
        assert_eq!(array(disk, "partitions").count(), 0);
        return;
    };
    // On a device with sectors of the disk's size, the tools read it as the machine will.
    let sector = disk["sector_size"].as_u64().unwrap();
    let device = Loop::attach(image, sector);
    let said = approve("sfdisk", &["-V", &device.0]);
    assert!(said.contains("No errors detected"), "{said}");
    if kind == "gpt" {
        let said = approve("sgdisk", &["-v", &device.0]);
        assert!(said.contains("No problems found"), "{said}");
    }
    drop(device);
    let read = devices.table(disk);
    assert_eq!(read["label"], if kind == "gpt" { "gpt" } else { "dos" });
    assert_eq!(read["sectorsize"], sector);
    let bytes = |part: &Value| ["start", "size"].map(|name| part[name].as_u64().unwrap() * sector);
    let theirs: Vec<_> = array(&read, "partitions").map(bytes).collect();
    let ours = |part: &Value| ["start", "size"].map(|name| part[name].as_u64().unwrap());
    assert_eq!(array(disk, "partitions").map(ours).collect::<Vec<_>>(), theirs);
}

/// A volume group and its physical volumes.
pub fn volume_group(devices: &Devices<'_>, group: &Value) {
    let volumes = devices.physical_volumes(group);
    let name = group["name"].as_str().unwrap();
    for (_, file) in &volumes {
        let file = file.to_str().unwrap();
        let said = approve("pvck", &["--dump", "headers", file]);
        assert!(!said.contains("CHECK:"), "{said}");
        assert!(approve("pvck", &["--dump", "metadata", file]).contains(&format!("{name} {{")));
    }
    devices.lvm("vgck", &volumes, &[name]);
    let said = devices.lvm("lvs", &volumes, &["--noheadings", "-o", "lv_name", name]);
    let mut theirs: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut ours: Vec<_> = array(group, "volumes").map(|volume| volume["name"].as_str().unwrap()).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}

/// An encrypted container, from outside.
pub fn container(devices: &Devices<'_>, container: &Value) {
    let file = devices.bytes(container["device"].as_str().unwrap());
    let file = file.to_str().unwrap();
    let said = approve("cryptsetup", &["luksDump", file]);
    for (name, value) in [("cipher", &container["cipher"]), ("Label", &container["label"])] {
        let label = value.as_str().filter(|text| !text.is_empty()).unwrap_or("(no label)");
        let line = said.lines().find(|line| line.trim_start().starts_with(&format!("{name}:")));
        assert!(line.is_some_and(|line| line.ends_with(label)), "{name}: {said}");
    }
    let sector = format!("sector: {} [bytes]", container["sector_size"]);
    assert!(said.contains("Version:       \t2\n") && said.contains(&sector), "{said}");
}

/// A file system, on the file of its device.
pub fn file_system(bytes: &Path, filesystem: &Value) {
    let file = bytes.to_str().unwrap();
    let kind = filesystem["type"].as_str().unwrap();
    match kind {
        "ext2" | "ext3" | "ext4" => approve("e2fsck", &["-fn", file]),
        "xfs" => approve("xfs_repair", &["-n", "-f", file]),
        "btrfs" => approve("btrfs", &["check", "--readonly", file]),
        "vfat" => approve("fsck.vfat", &["-n", file]),
        "squashfs" => approve("unsquashfs", &["-lls", file]),
        "erofs" => approve("fsck.erofs", &[file]),
        "swap" => approve("swaplabel", &[file]),
        _ => panic!("nobody judges {kind}"),
    };
    let said = approve("blkid", &["-p", "-o", "export", file]);
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("TYPE"), Some(kind), "{said}");
    // Squashfs has no label.
    if kind != "squashfs" {
        let label = value("LABEL").map(|label| label.replace('\\', ""));
        assert_eq!(label.as_deref().unwrap_or_default(), filesystem["label"].as_str().unwrap(), "{said}");
    }
}

/// Verified data, by the root hash that the build left beside the image.
pub fn verified(devices: &Devices<'_>, verity: &Value, image: &Path) {
    let [data, hash] = ["data", "hash"].map(|name| devices.bytes(verity[name].as_str().unwrap()));
    let (data, hash) = (data.to_str().unwrap(), hash.to_str().unwrap());
    let files = ["roothash", "usrhash"].map(|suffix| image.with_extension(suffix));
    let file = files.iter().find(|file| file.exists()).unwrap();
    let root = fs::read_to_string(file).unwrap();
    approve("veritysetup", &["verify", data, hash, root.trim()]);
    // It would find a difference.
    let other = if root.starts_with('0') { "1" } else { "0" };
    let wrong = format!("{other}{}", &root.trim()[1..]);
    let verdict = std::process::Command::new("veritysetup").args(["verify", data, hash, &wrong]).output().unwrap();
    assert!(!verdict.status.success());
}
