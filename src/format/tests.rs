//! Every format, written and judged by the tools of the trade.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::request::Qcow2Compression;
use crate::sandbox::command::Command;

fn output(root: &Utf8Path, format: &str, options: &str) -> plan::Output {
    plan::Output {
        format: format.into(),
        path: root.join(format!("i.{}", find(format).unwrap().suffix)),
        disk: String::new(),
        qcow2_compression: Qcow2Compression::Zlib,
        options: options.into(),
        variables: Default::default(),
    }
}

fn inputs(root: &Utf8Path) -> Inputs {
    Inputs {
        disk: None,
        tree: root.join("tree"),
        parts: Vec::new(),
        arch: "amd64".into(),
        build: "b".into(),
        seed: "seed".into(),
    }
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words.iter().copied()).quiet().check(&Events::none()).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_temporary_name_is_hidden_and_in_the_same_folder() {
    assert_eq!(temporary(Utf8Path::new("/out/i.qcow2"), "b1"), "/out/.i.qcow2.b1.kiln-partial");
    assert_eq!(temporary(Utf8Path::new("i.raw"), "b2"), ".i.raw.b2.kiln-partial");
}

#[test]
fn all_outputs_come_in_their_order_with_digests_and_a_raw_image_in_place_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    std::fs::create_dir(root.join("tree")).unwrap();
    std::fs::write(root.join("tree/file"), "text").unwrap();
    let outputs = [output(root, "tar", ""), output(root, "raw", ""), output(root, "qcow2", "")];
    let raw = temporary(&outputs[1].path, "b");
    std::fs::write(&raw, vec![7_u8; 100_000]).unwrap();
    let inputs = Inputs { disk: Some((raw.clone(), Kind::Raw)), ..inputs(root) };
    let artifacts = write(&inputs, &outputs, &["md5".into(), "sha256".into()], Some(0), &Events::none()).unwrap();
    assert_eq!(artifacts.iter().map(|artifact| artifact.format.as_str()).collect::<Vec<_>>(), ["tar", "raw", "qcow2"]);
    assert_eq!(artifacts[1].temporary, raw);
    assert_eq!(artifacts[1].size, 100_000);
    assert_eq!(artifacts[0].digests.len(), 2);
    assert!(!outputs[2].path.exists(), "the final name belongs to the caller");
}

#[test]
fn a_failure_leaves_no_temporary_files_but_the_raw_image() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    std::fs::create_dir(root.join("tree")).unwrap();
    let outputs = [output(root, "tar", ""), output(root, "qcow2", "")];
    let inputs = inputs(root);
    let error = write(&inputs, &outputs, &[], None, &Events::none()).unwrap_err();
    assert!(matches!(error, FormatError::NoRawImage { format: "qcow2" }));
    assert!(!temporary(&outputs[0].path, "b").exists());
}

#[test]
fn images_by_kiln_and_by_qemu_img_hold_the_disk_at_its_size_and_have_their_digests() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let (raw, size) = (root.join("disk"), (7 << 20) + 64 * 1024);
    let disk: Vec<u8> = (0..size as u32 / 4).flat_map(|number| (number / 5000).to_le_bytes()).collect();
    std::fs::write(&raw, disk).unwrap();
    let outputs = [
        output(root, "vhd", ""),
        output(root, "vhdx", "subformat=fixed"),
        output(root, "vmdk", "subformat=streamOptimized"),
        output(root, "vdi", ""),
        output(root, "qed", ""),
        output(root, "qcow", ""),
        output(root, "parallels", ""),
        output(root, "qcow2", "cluster_size=128k,refcount_bits=32"),
        output(root, "vhd-fixed", ""),
        output(root, "qcow2", "cluster_size=1M"),
    ];
    // Two of one format have two names.
    let mut outputs = outputs;
    outputs[9].path = root.join("j.qcow2");
    check_outputs(&outputs).unwrap();
    let inputs = Inputs { disk: Some((raw.clone(), Kind::Raw)), ..inputs(root) };
    let artifacts = write(&inputs, &outputs, &["sha256".into()], None, &Events::none()).unwrap();
    assert_eq!(artifacts.len(), outputs.len());
    for artifact in &artifacts {
        let (file, name) = (artifact.temporary.as_str(), artifact.format.as_str());
        let name = if name.starts_with("vhd") && name != "vhdx" { "vpc" } else { name };
        run(&["qemu-img", "compare", "-f", "raw", "-F", name, raw.as_str(), file]);
        let facts: serde_json::Value =
            serde_json::from_str(&run(&["qemu-img", "info", "--output=json", "-f", name, file])).unwrap();
        // Vmdk and the like have larger units.
        let virtual_size = facts["virtual-size"].as_u64().unwrap();
        assert!(virtual_size == size || !["vpc", "qcow2"].contains(&name), "{name}: {virtual_size}");
        assert_eq!(artifact.size, std::fs::metadata(file).unwrap().len(), "{name}");
        let judged = run(&["sha256sum", file]);
        assert_eq!(judged.split_once(' ').unwrap().0, artifact.digests[0].1, "{name}");
    }
    let facts = run(&["qemu-img", "info", artifacts[7].temporary.as_str()]);
    assert!(facts.contains("cluster_size: 131072") && facts.contains("compression type: zlib"), "{facts}");
    // A dynamic VHD has a copy of its footer in front (kind 3).
    let vhd = std::fs::read(&artifacts[0].temporary).unwrap();
    assert_eq!((&vhd[..8], vhd[63]), (&b"conectix"[..], 3));
}

#[test]
fn an_archive_is_compressed_by_kiln_or_by_the_program_that_was_named() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    std::fs::create_dir(root.join("tree")).unwrap();
    std::fs::write(root.join("tree/file"), vec![3; 3 << 20]).unwrap();
    let inputs = inputs(root);
    for program in ["", "gzip -n"] {
        let outputs = [output(root, "tgz", program), output(root, "tar", "")];
        let artifacts = write(&inputs, &outputs, &["md5".into()], Some(0), &Events::none()).unwrap();
        let (tgz, tar) = (&artifacts[0].temporary, &artifacts[1].temporary);
        assert_eq!(artifacts[0].path, root.join("i.tgz"));
        run(&["sh", "-c", "gunzip -c < $0 | cmp - $1", tgz.as_str(), tar.as_str()]);
        assert!(run(&["tar", "-tzf", tgz.as_str()]).contains("./file"));
        assert_eq!(artifacts[0].digests.len(), 1);
    }
    let failing = [output(root, "tgz", "false")];
    let error = write(&inputs, &failing, &[], None, &Events::none()).unwrap_err().to_string();
    assert!(error.contains("cannot write tgz") && error.contains("status 1"), "{error}");
}

/// A tree with a program that runs without anything else.
fn tree_with_busybox(root: &Utf8Path) {
    let tree = root.join("tree");
    for folder in ["bin", "etc", "lost+found", "a b", "tmp"] {
        std::fs::create_dir_all(tree.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", tree.join("bin/sh")).unwrap();
    std::os::unix::fs::symlink("busybox", tree.join("bin/cat")).unwrap();
    std::fs::write(tree.join("etc/hostname"), "baked\n").unwrap();
    // Podman makes /etc/hostname itself.
    std::fs::write(tree.join("etc/motd"), "baked\n").unwrap();
    std::fs::write(tree.join("a b/zeros"), vec![0; 300_000]).unwrap();
}

#[test]
fn containers_images_are_read_and_run_by_others_and_have_equal_bytes() {
    if !crate::sandbox::host::is_root() {
        // Mounts are hidden in a namespace.
        return;
    }
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    tree_with_busybox(root);
    let outputs =
        [output(root, "docker", ""), output(root, "oci", ""), output(root, "oci", "compression=gzip,reference=a/b:1")];
    let mut outputs = outputs;
    outputs[2].path = root.join("gzip.oci.tar");
    check_outputs(&outputs).unwrap();
    let inputs = inputs(root);
    let write = || write(&inputs, &outputs, &["sha256".into()], Some(1_700_000_000), &Events::none()).unwrap();
    let digests =
        |artifacts: &[Artifact]| artifacts.iter().map(|artifact| artifact.digests.clone()).collect::<Vec<_>>();
    let (first, second) = (write(), write());
    assert_eq!(digests(&first), digests(&second));
    let podman = |words: &str| {
        // A view without the second kind of control groups, which its runtime refuses beside the first; limits that it may set.
        let script = format!(
            "umount /sys/fs/cgroup/unified 2>/dev/null || true; l=$(ulimit -Hn)
             p() {{ podman --root $0/podman --runroot $0/podman.run --storage-driver vfs --cgroup-manager cgroupfs $*; }}
             limits=\"--ulimit nofile=$l:$l --ulimit nproc=100:100\"
             {words}"
        );
        run(&["unshare", "--mount", "sh", "-ec", &script, root.as_str()])
    };
    for (kind, artifact, name) in [
        ("docker-archive", &first[0], "localhost/i:latest"),
        ("oci-archive", &first[1], ""),
        ("oci-archive", &first[2], ""),
    ] {
        let file = artifact.temporary.as_str();
        let seen: serde_json::Value =
            serde_json::from_str(&run(&["skopeo", "inspect", &format!("{kind}:{file}")])).unwrap();
        assert_eq!((&seen["Architecture"], &seen["Os"]), (&"amd64".into(), &"linux".into()));
        assert_eq!(seen["Created"], "2023-11-14T22:13:20Z");
        assert_eq!(seen["Layers"].as_array().unwrap().len(), 1);
        let loaded = podman(&format!("p load --quiet --input {file}"));
        let loaded = loaded.trim().rsplit(' ').next().unwrap();
        assert!(name.is_empty() || loaded == name, "{loaded}");
        let said = podman(&format!("p run --rm --network none --cgroups disabled $limits {loaded} /bin/cat /etc/motd"));
        assert_eq!(said, "baked\n", "{kind}");
    }
    let listed = run(&["tar", "-tf", first[1].temporary.as_str()]);
    assert!(listed.contains("oci-layout") && listed.contains("index.json"), "{listed}");
}

#[test]
fn other_forms_of_the_tree_are_read_by_their_own_tools() {
    if !crate::sandbox::host::is_root() {
        // Mounts are hidden in a namespace.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    tree_with_busybox(root);
    let outputs =
        [output(root, "tar.zst", ""), output(root, "erofs", ""), output(root, "squashfs", ""), output(root, "tar", "")];
    let inputs = inputs(root);
    let write = |time| write(&inputs, &outputs, &["md5".into()], time, &Events::none()).unwrap();
    let mut first = Vec::new();
    // Whether or not a time is asked for.
    for time in [None, Some(1_700_000_000)] {
        first = write(time);
        let bytes: Vec<_> = first.iter().map(|artifact| std::fs::read(&artifact.temporary).unwrap()).collect();
        // A file system's time has a resolution of a second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        for (bytes, artifact) in bytes.iter().zip(&write(time)) {
            assert!(*bytes == std::fs::read(&artifact.temporary).unwrap(), "{} {time:?}", artifact.format);
        }
        if time.is_none() {
            let file = std::fs::metadata(inputs.tree.join("etc/hostname")).unwrap().mtime();
            let shown = run(&["date", "-d", &format!("@{file}"), "+%Y-%m-%d %H:%M"]);
            let listed = run(&["unsquashfs", "-lls", first[2].temporary.as_str(), "etc/hostname"]);
            assert!(listed.contains(shown.trim()), "a file's own time is kept: {listed}");
        }
    }
    let file = |number: usize| first[number].temporary.as_str();
    run(&["sh", "-ec", "zstd -dcq --format=zstd < $0 | cmp - $1", file(0), file(3)]);
    run(&["fsck.erofs", file(1)]);
    let facts = run(&["dump.erofs", "-s", file(1)]);
    assert!(facts.contains("Filesystem UUID"), "{facts}");
    assert!(run(&["dump.erofs", "--path=/etc/hostname", file(1)]).contains("Size: 6"));
    assert!(!run(&["dump.erofs", "--ls", "--path=/", file(1)]).contains("lost+found"));
    let listed = run(&["unsquashfs", "-lls", file(2)]);
    assert!(listed.contains("squashfs-root/bin/busybox") && !listed.contains("lost+found"), "{listed}");
    let judged = run(&["md5sum", file(1)]);
    assert_eq!(judged.split_once(' ').unwrap().0, first[1].digests[0].1);
}
