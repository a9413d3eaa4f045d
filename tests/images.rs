//! Real images from the archive: the three shipped layouts, checked by the tools of the trade and booted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cut::part;
use crate::support::{
    FOR_AN_EMULATED_MACHINE, Sandbox, a_core, approve, ending, kiln, one_build, shared_store, stdout,
};

/// The release that the figures of DIB were taken with.
const RELEASE: &str = "bookworm";

/// Builds `elements` into the sandbox as `image` in `formats`, with the store that all builds share.
fn build(sandbox: &Sandbox, formats: &str, elements: &[&str]) -> PathBuf {
    let _turn = one_build();
    let image = sandbox.path().join("image");
    let mut words = vec!["build", "-o", "image", "-t", formats];
    words.extend(elements);
    run(sandbox, &words, &[("DIB_RELEASE", RELEASE)]);
    image
}

/// kiln in the sandbox, with the store that all builds share.
fn run(sandbox: &Sandbox, words: &[&str], variables: &[(&str, &str)]) {
    let mut command = kiln(words);
    command.current_dir(sandbox.path()).env("KILN_STORE", shared_store()).envs(variables.iter().copied());
    let output = command.envs(FOR_AN_EMULATED_MACHINE).output().unwrap();
    assert!(output.status.success(), "kiln {words:?}: {}", ending(&output));
}

/// A partition as sfdisk reads it: number, first byte, size in bytes, type.
#[derive(Debug)]
struct Partition {
    start: u64,
    size: u64,
    kind: String,
}

fn partitions(raw: &Path) -> Vec<Partition> {
    let table: serde_json::Value =
        serde_json::from_str(&approve("sfdisk", &["--json", raw.to_str().unwrap()])).unwrap();
    let table = &table["partitiontable"];
    let bytes = |value: &serde_json::Value| value.as_u64().unwrap() * 512;
    let entries = table["partitions"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| Partition {
            start: bytes(&entry["start"]),
            size: bytes(&entry["size"]),
            kind: entry["type"].as_str().unwrap().to_owned(),
        })
        .collect()
}

fn check_root(raw: &Path, partition: &Partition) {
    let place = format!("{}?offset={}", raw.display(), partition.start);
    approve("e2fsck", &["-fn", &place]);
    let read = |file: &str| approve("debugfs", &["-R", &format!("cat {file}"), &place]);
    assert!(read("/etc/fstab").contains("LABEL=cloudimg-rootfs / ext4 defaults 0 1"), "{}", read("/etc/fstab"));
    assert!(read("/boot/grub/grub.cfg").contains("root=LABEL=cloudimg-rootfs"));
}

/// Boots `image`, without touching it, to its login prompt.
pub fn boot(image: &Path, words: &[&str]) {
    let _turn = a_core();
    let mut all = vec!["boot", image.to_str().unwrap(), "--timeout", "1200"];
    all.extend(words);
    let before = fs::metadata(image).unwrap().modified().unwrap();
    let output = kiln(&all).output().unwrap();
    assert!(output.status.success(), "kiln {all:?}: {}", ending(&output));
    assert!(stdout(&output).contains("login:"), "{}", ending(&output));
    assert_eq!(fs::metadata(image).unwrap().modified().unwrap(), before, "booting touched the image");
}

#[test]
fn an_mbr_image_is_sound_and_boots() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "qcow2,raw,tar", &["vm", "debian-minimal"]);
    let (qcow2, raw) = (image.with_extension("qcow2"), image.with_extension("raw"));
    approve("qemu-img", &["check", qcow2.to_str().unwrap()]);
    approve("qemu-img", &["compare", "-f", "qcow2", "-F", "raw", qcow2.to_str().unwrap(), raw.to_str().unwrap()]);
    approve("sfdisk", &["-V", raw.to_str().unwrap()]);
    let [root] = &partitions(&raw)[..] else { panic!("one partition was expected") };
    assert_eq!(root.kind, "83");
    check_root(&raw, root);
    check_tar(&sandbox, &image.with_extension("tar"));
    check_packages(&image.with_extension("tar"));
    boot(&qcow2, &[]);
}

#[test]
fn a_gpt_image_is_sound_and_boots() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "raw", &["vm", "debian-minimal", "block-device-gpt"]);
    let raw = image.with_extension("raw");
    check_gpt(&raw);
    let [bios, root] = &partitions(&raw)[..] else { panic!("two partitions were expected") };
    assert_eq!(bios.kind, "21686148-6449-6E6F-744E-656564454649");
    check_root(&raw, root);
    boot(&raw, &[]);
}

#[test]
fn an_efi_image_is_sound_and_boots_both_ways() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "raw", &["vm", "debian-minimal", "block-device-efi"]);
    let raw = image.with_extension("raw");
    check_gpt(&raw);
    let [esp, _bios, root] = &partitions(&raw)[..] else { panic!("three partitions were expected") };
    assert_eq!(esp.kind, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    let file = sandbox.path().join("esp");
    part(&raw, esp.start, esp.size, &file);
    approve("fsck.vfat", &["-n", file.to_str().unwrap()]);
    check_root(&raw, root);
    boot(&raw, &[]);
    boot(&raw, &["--uefi"]);
}

#[test]
fn the_stable_release_boots_too() {
    let sandbox = Sandbox::new();
    let turn = one_build();
    run(&sandbox, &["build", "-o", "stable", "vm", "debian-minimal"], &[]);
    drop(turn);
    boot(&sandbox.path().join("stable.qcow2"), &[]);
}

fn check_gpt(raw: &Path) {
    let said = approve("sgdisk", &["-v", raw.to_str().unwrap()]);
    assert!(said.contains("No problems found"), "{said}");
    approve("sfdisk", &["-V", raw.to_str().unwrap()]);
}

fn check_tar(sandbox: &Sandbox, tar: &Path) {
    let list = approve("tar", &["-tf", tar.to_str().unwrap()]);
    let names: Vec<&str> = list.lines().collect();
    for folder in ["./proc/", "./sys/"] {
        assert!(names.contains(&folder), "no {folder}");
        assert!(!names.iter().any(|name| name.starts_with(folder) && *name != folder), "{folder} is not empty");
    }
    assert!(!names.contains(&"./lost+found/"));
    let unpacked = sandbox.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    approve(
        "tar",
        &["-C", unpacked.to_str().unwrap(), "--xattrs", "--xattrs-include=*", "-xpf", tar.to_str().unwrap()],
    );
    // ping has a capability instead of a set-uid bit, when it is there; passwd has the bit.
    use std::os::unix::fs::MetadataExt;
    let passwd = fs::metadata(unpacked.join("usr/bin/passwd")).unwrap();
    assert_eq!((passwd.mode() & 0o7777, passwd.uid()), (0o4755, 0));
}

/// The image holds the packages that DIB's elements of the same names install: the list is that of an image made by
/// diskimage-builder 3.43.0 (`debian-minimal vm`, bookworm), names only, since versions move.
fn check_packages(tar: &Path) {
    let expected: BTreeSet<&str> = include_str!("data/dib-debian-minimal-vm.packages").lines().collect();
    let output = Command::new("tar").args(["-xOf", tar.to_str().unwrap(), "./var/lib/dpkg/status"]).output().unwrap();
    let status = stdout(&output);
    let stripped = |name: &str| strip_abi(name);
    let installed: BTreeSet<String> =
        status.lines().filter_map(|line| line.strip_prefix("Package: ")).map(stripped).collect();
    let expected: BTreeSet<String> = expected.into_iter().map(stripped).collect();
    let more: Vec<_> = installed.difference(&expected).collect();
    let fewer: Vec<_> = expected.difference(&installed).collect();
    assert!(more.is_empty() && fewer.is_empty(), "more than DIB: {more:?}; fewer: {fewer:?}");
    let states: BTreeSet<&str> = status.lines().filter(|line| line.starts_with("Status: ")).collect();
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["Status: install ok installed"]);
}

/// A kernel's package bears its version.
fn strip_abi(name: &str) -> String {
    match name.strip_prefix("linux-image-") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => "linux-image-VERSION".to_owned(),
        _ => name.to_owned(),
    }
}

#[test]
fn checksums_are_those_of_the_files() {
    let sandbox = Sandbox::new();
    let _turn = one_build();
    let words = ["build", "-o", "image", "-t", "qcow2,tar", "--checksum", "debian-minimal", "vm"];
    run(&sandbox, &words, &[("DIB_RELEASE", RELEASE)]);
    for file in ["image.qcow2", "image.tar"] {
        for tool in ["md5", "sha256"] {
            let noted = fs::read_to_string(sandbox.path().join(format!("{file}.{tool}"))).unwrap();
            let path = sandbox.path().join(file);
            let computed = approve(&format!("{tool}sum"), &[path.to_str().unwrap()]);
            assert_eq!(noted.split_whitespace().next(), computed.split_whitespace().next(), "{file}.{tool}");
        }
    }
}
