//! `kiln convert` and `kiln inspect`, from outside.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Sandbox, approve, interruptible, stderr, stdout};

/// A disk with a partition table, an ext4 and a FAT file system, at `disk.raw`.
fn disk(sandbox: &Sandbox) {
    let script = "mkdir -p tree/etc; echo here > tree/etc/motd; seq 1 100000 > tree/numbers
        truncate -s 8M ext4; mke2fs -q -F -t ext4 -L root -d tree ext4
        truncate -s 4M fat; mkfs.vfat -n ESP fat > /dev/null; mcopy -i fat tree/numbers ::/numbers.txt
        truncate -s 20M disk.raw
        printf 'label: gpt\\nstart=2048, size=8192, type=U, name=ESP\\nstart=12288, size=16384, name=root\\n' | sfdisk -q disk.raw";
    let made = Command::new("sh").args(["-ec", script]).current_dir(sandbox.path()).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let disk = File::options().write(true).open(sandbox.path().join("disk.raw")).unwrap();
    for (name, offset) in [("fat", 1 << 20), ("ext4", 6 << 20)] {
        disk.write_all_at(&fs::read(sandbox.path().join(name)).unwrap(), offset).unwrap();
    }
}

fn kiln(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.kiln(words).output().unwrap();
    assert!(output.status.success(), "kiln {words:?}:\n{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

fn refused(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.kiln(words).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "kiln {words:?}: {}", stdout(&output));
    stderr(&output)
}

/// Names of files that are being written.
fn partial(sandbox: &Sandbox) -> Vec<String> {
    let names = fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("partial")).collect()
}

#[test]
fn one_image_becomes_many_and_each_comes_back() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    let all = ["a.qcow2", "a.vhd", "a.fixed.vhd", "a.vhdx", "a.vmdk", "a.vdi", "a.qed"];
    kiln(&sandbox, &[&["convert", "--checksum", "disk.raw"], &all[..]].concat());
    let path = |name: &str| sandbox.path().join(name).to_str().unwrap().to_owned();
    for name in all {
        let kind = match name.rsplit('.').next().unwrap() {
            "vhd" => "vpc",
            other => other,
        };
        approve("qemu-img", &["compare", "-f", "raw", "-F", kind, &path("disk.raw"), &path(name)]);
        let noted = fs::read_to_string(path(&format!("{name}.sha256"))).unwrap();
        assert_eq!(noted.split_once(' ').unwrap().0, approve("sha256sum", &[&path(name)]).split_once(' ').unwrap().0);
        if name == "a.qed" {
            kiln(&sandbox, &["convert", "--from", "qed", name, "back.raw"]);
        } else {
            kiln(&sandbox, &["convert", name, "back.raw"]);
            let seen: serde_json::Value = serde_json::from_str(&kiln(&sandbox, &["inspect", "--json", name])).unwrap();
            assert_eq!(seen["table"]["partitions"][1]["filesystem"]["label"], "root", "{name}: {seen}");
            assert_eq!(kiln(&sandbox, &["inspect", name, "/etc/motd"]), "here\n");
        }
        approve("cmp", &[&path("disk.raw"), &path("back.raw")]);
    }
    assert_eq!(partial(&sandbox), Vec::<String>::new());
}

#[test]
fn two_conversions_make_the_same_bytes_and_options_are_obeyed() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    let all = ["a.qcow2", "a.vhd", "a.vhdx", "a.vmdk", "a.vdi"];
    kiln(&sandbox, &[&["convert", "disk.raw"], &all[..]].concat());
    let first: Vec<_> = all.iter().map(|name| fs::read(sandbox.path().join(name)).unwrap()).collect();
    kiln(&sandbox, &[&["convert", "a.qcow2"], &all[1..]].concat());
    for (name, bytes) in all.iter().zip(&first) {
        assert!(fs::read(sandbox.path().join(name)).unwrap() == *bytes, "{name}");
    }
    let options = "compat=0.10,cluster_size=4096";
    kiln(&sandbox, &["convert", "--to", "qcow2", "--qemu-img-options", options, "a.vmdk", "old"]);
    let facts = approve("qemu-img", &["info", sandbox.path().join("old").to_str().unwrap()]);
    assert!(facts.contains("compat: 0.10") && facts.contains("cluster_size: 4096"), "{facts}");
}

#[test]
fn what_cannot_be_converted_or_shown_is_refused() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    assert!(refused(&sandbox, &["convert", "disk.raw", "a.tar"]).contains("is made from a tree"));
    assert!(refused(&sandbox, &["convert", "disk.raw", "a.iso"]).contains("name it with --to"));
    assert!(refused(&sandbox, &["convert", "disk.raw", "disk.raw"]).contains("name another output"));
    assert!(refused(&sandbox, &["convert", "none.raw", "a.qcow2"]).contains("cannot read none.raw"));
    assert!(refused(&sandbox, &["convert", "--from", "qcow2", "disk.raw", "a.vdi"]).contains("it has no header"));
    assert!(refused(&sandbox, &["inspect", "disk.raw", "/no/such"]).contains("/no/such"));
    assert!(refused(&sandbox, &["inspect", "--partition", "7", "disk.raw", "/"]).contains("there is no partition 7"));
}

/// What is no raw disk is not read as one.
#[test]
fn images_that_only_qemu_img_reads_go_through_it_and_archives_are_refused() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    let path = |name: &str| sandbox.path().join(name).to_str().unwrap().to_owned();
    for (name, options) in [
        ("flat.vmdk", &["-O", "vmdk", "-o", "subformat=monolithicFlat"][..]),
        ("split.vmdk", &["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"]),
        ("x.parallels", &["-O", "parallels"]),
        ("x.qed", &["-O", "qed"]),
    ] {
        approve("qemu-img", &[&["convert"], options, &[&path("disk.raw"), &path(name)]].concat());
        kiln(&sandbox, &["convert", name, "back.raw"]);
        approve("cmp", &["-n", &(20 << 20).to_string(), &path("disk.raw"), &path("back.raw")]);
        assert!(refused(&sandbox, &["inspect", name]).contains("kiln convert"), "{name}");
    }
    kiln(&sandbox, &["convert", "flat.vmdk", "back.raw", "--from", "vmdk"]);
    approve("gzip", &["-k", &path("disk.raw")]);
    assert!(refused(&sandbox, &["convert", "disk.raw.gz", "x.qcow2"]).contains("`gzip -d`"));
    kiln(&sandbox, &["convert", "disk.raw.gz", "x.qcow2", "--from", "raw"]);
    std::fs::write(sandbox.path().join("empty"), "").unwrap();
    assert!(refused(&sandbox, &["convert", "empty", "y.qcow2"]).contains("is empty"));
}

#[test]
fn a_person_sees_partitions_and_files() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    let shown = kiln(&sandbox, &["inspect", "disk.raw"]);
    assert!(
        shown.contains("raw: 20.0 MiB of disk") && shown.contains("ext4 root") && shown.contains("vfat ESP"),
        "{shown}"
    );
    let root = kiln(&sandbox, &["inspect", "--partition", "2", "disk.raw", "/"]);
    assert!(root.contains("drwxr-xr-x") && root.contains(" etc\n") && root.contains("588895 numbers\n"), "{root}");
    let esp = kiln(&sandbox, &["inspect", "--partition", "1", "disk.raw", "/numbers.txt"]);
    assert!(esp.starts_with("1\n2\n") && esp.ends_with("100000\n"));
    let entry = kiln(&sandbox, &["inspect", "--json", "disk.raw", "/numbers"]);
    assert!(entry.contains("\"size\": 588895"), "{entry}");
}

#[test]
fn a_conversion_that_is_ended_leaves_nothing_and_what_was_there() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path().join(name);
    // Text: compressing it takes a while.
    let script = "seq 1 99999999 | head -c 200M > disk.raw";
    assert!(Command::new("sh").args(["-c", script]).current_dir(sandbox.path()).status().unwrap().success());
    fs::write(path("a.qcow2"), "of before").unwrap();
    for signal in ["INT", "TERM", "HUP"] {
        // In process, and by qemu-img.
        let words = ["convert", "--checksum", "--qcow2-compression", "zlib", "disk.raw", "a.qcow2", "a.vmdk", "a.qed"];
        let mut child = interruptible(&sandbox.kiln(&words)).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while partial(&sandbox).len() < 3 {
            assert!(
                begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(),
                "it does not begin"
            );
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none(), "it has ended already");
        approve("kill", &["-s", signal, &child.id().to_string()]);
        let status = child.wait().unwrap();
        assert_eq!(
            status.code(),
            Some(if signal == "HUP" {
                129
            } else if signal == "INT" {
                130
            } else {
                143
            })
        );
        // qemu-img is gone too.
        sleep(Duration::from_millis(200));
        assert_eq!(partial(&sandbox), Vec::<String>::new(), "{signal}");
        assert!(!path("a.vmdk").exists() && !path("a.qed").exists() && !path("a.qcow2.md5").exists());
        assert_eq!(fs::read_to_string(path("a.qcow2")).unwrap(), "of before");
        let mut running = Command::new("pgrep");
        let running = running.args(["-f", path("").to_str().unwrap()]).output().unwrap();
        assert!(running.stdout.is_empty(), "{}", stdout(&running));
    }
}

#[test]
fn a_conversion_that_fails_in_the_middle_leaves_nothing() {
    let sandbox = Sandbox::new();
    disk(&sandbox);
    kiln(&sandbox, &["convert", "-u", "disk.raw", "whole.qcow2"]);
    // Its tables are in order: the mapping of one cluster leads behind the end.
    let image = File::options().write(true).read(true).open(sandbox.path().join("whole.qcow2")).unwrap();
    let read = |offset: u64| {
        let mut bytes = [0; 8];
        image.read_exact_at(&mut bytes, offset).unwrap();
        u64::from_be_bytes(bytes)
    };
    let table = read(read(40)) & 0x00ff_ffff_ffff_fe00;
    let last = (0..320).rev().find(|cluster| read(table + cluster * 8) != 0).unwrap();
    image.write_all_at(&((1_u64 << 63) | (1 << 40)).to_be_bytes(), table + last * 8).unwrap();
    let said = refused(&sandbox, &["convert", "--checksum", "whole.qcow2", "b.vmdk", "b.raw"]);
    assert!(said.contains("whole.qcow2") && said.contains("it ends too early"), "{said}");
    assert_eq!(partial(&sandbox), Vec::<String>::new());
    assert!(!sandbox.path().join("b.vmdk").exists() && !sandbox.path().join("b.raw").exists());
}
