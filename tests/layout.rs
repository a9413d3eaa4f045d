//! `kiln layout`: descriptions solved, shown, written and refused.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Sandbox, approve, stderr, stdout};

/// The folder of examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/disk/testdata/layouts")
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("elements").join(name).join("block-device-default.yaml");
    path.to_str().unwrap().to_owned()
}

/// The cases of `tests/data/bad-layouts.txt`: name, image size, description.
fn bad() -> Vec<(&'static str, Option<&'static str>, &'static str)> {
    let cases = include_str!("data/bad-layouts.txt").split("### ").skip(1);
    cases
        .map(|case| {
            let (head, text) = case.split_once('\n').unwrap();
            match head.strip_suffix(']').and_then(|head| head.split_once(" [")) {
                Some((name, size)) => (name, Some(size), text),
                None => (head, None, text),
            }
        })
        .collect()
}

#[test]
fn every_bad_description_is_refused_with_words_of_its_own_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let (mut text, mut seen) = (String::new(), HashSet::new());
    let cases = bad();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (name, size, yaml) in cases {
        fs::write(sandbox.path().join("disk.yaml"), yaml).unwrap();
        let mut words = vec!["layout", "disk.yaml", "--write", "out.raw", "--svg", "out.svg", "--json"];
        words.extend(size.into_iter().flat_map(|size| ["--image-size", size]));
        let output = sandbox.kiln(&words).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
        let files: Vec<_> = fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["disk.yaml"], "{name}");
        // What is wrong, and where: the first line of a diagnostic, and its place.
        let said: Vec<_> = said.lines().filter(|line| line.starts_with("error") || line.contains("-->")).collect();
        assert!(seen.insert(said[0].to_owned()), "{name}: the same words as another: {said:?}");
        text += &format!("{name}\n    {}\n", said.join("\n    "));
    }
    insta::assert_snapshot!("bad_layouts", text);
}

#[test]
fn empty_images_of_all_examples_have_tables_that_others_approve_of() {
    let sandbox = Sandbox::new();
    let mut files: Vec<String> =
        fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
    files.extend(["mbr", "gpt", "efi", "efi-4k", "efi-lvm"].map(|name| shipped(&format!("block-device-{name}"))));
    files.sort();
    for file in files {
        // Without a size: the smallest that fits.
        let output = sandbox.kiln(&["layout", &file, "--json", "--write", "out.raw"]).output().unwrap();
        assert!(output.status.success(), "{file}: {}", stderr(&output));
        let layout: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for (index, disk) in layout["disks"].as_array().unwrap().iter().enumerate() {
            let name =
                if index == 0 { "out.raw".into() } else { format!("out.{}.raw", disk["name"].as_str().unwrap()) };
            let path = sandbox.path().join(name);
            assert_eq!(fs::metadata(&path).unwrap().len(), disk["size"].as_u64().unwrap());
            let path = path.to_str().unwrap();
            // Tools take a file for a disk with sectors of 512 bytes.
            match (disk["table"].as_str(), disk["sector_size"].as_u64()) {
                (Some("gpt"), Some(512)) => {
                    assert!(approve("sgdisk", &["-v", path]).contains("No problems found"), "{file}");
                    assert!(approve("sfdisk", &["-V", path]).contains("No errors detected"), "{file}");
                }
                (Some("mbr"), Some(512)) => {
                    assert!(approve("sfdisk", &["-V", path]).contains("No errors detected"), "{file}");
                }
                _ => {}
            }
            let dump = (disk["sector_size"] == 512 && !disk["table"].is_null())
                .then(|| approve("sfdisk", &["-J", path]))
                .map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
            for (ours, theirs) in dump.iter().flat_map(|dump| {
                let theirs = dump["partitiontable"]["partitions"].as_array().unwrap();
                let ours = disk["partitions"].as_array().unwrap();
                assert_eq!(ours.len(), theirs.len(), "{file}");
                ours.iter().zip(theirs)
            }) {
                assert_eq!(ours["start"].as_u64().unwrap(), theirs["start"].as_u64().unwrap() * 512, "{file}");
                assert_eq!(ours["size"].as_u64().unwrap(), theirs["size"].as_u64().unwrap() * 512, "{file}");
            }
        }
    }
}

#[test]
fn a_table_is_printed_for_people_and_json_for_programs() {
    let sandbox = Sandbox::new();
    let words = ["layout", &shipped("block-device-mbr"), "--image-size", "1", "--disk-id", "0x12345678", "--seed", "a"];
    let output = sandbox.kiln(&words).output().unwrap();
    insta::assert_snapshot!(stdout(&output), @r#"
    image0: 1 GiB, sectors of 512 bytes, mbr 0x12345678
      no  name  start  size      type       content  label            mounted at
      1   root  1 MiB  1022 MiB  0x83 boot  ext4     cloudimg-rootfs  /

    /etc/fstab:
    LABEL=cloudimg-rootfs / ext4 defaults 0 1
    "#);
    let json = sandbox.kiln(&[&words[..], &["--json"]].concat()).output().unwrap();
    insta::assert_snapshot!(stdout(&json), @r#"
    {
      "disks": [
        {
          "name": "image0",
          "size": 1073741824,
          "sector_size": 512,
          "table": "mbr",
          "id": "0x12345678",
          "partitions": [
            {
              "number": 1,
              "name": "root",
              "start": 1048576,
              "size": 1071644672,
              "type": "0x83",
              "boot": true
            }
          ]
        }
      ],
      "filesystems": [
        {
          "name": "mkfs_root",
          "device": "root",
          "type": "ext4",
          "label": "cloudimg-rootfs",
          "uuid": "f860312a-1abe-5069-869f-30753246439d",
          "mount_point": "/",
          "size": 1071644672
        }
      ],
      "fstab": "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n"
    }
    "#);
}

#[test]
fn identifiers_follow_from_the_seed_and_the_disk_id_is_the_one_asked_for() {
    let sandbox = Sandbox::new();
    let file = shipped("block-device-mbr");
    let image = |words: &[&str]| {
        let words = [&["layout", &file, "--image-size", "64MiB", "--write", "out.raw", "--json"], words].concat();
        let output = sandbox.kiln(&words).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (fs::read(sandbox.path().join("out.raw")).unwrap(), stdout(&output))
    };
    assert_eq!(image(&["--seed", "a"]), image(&["--seed", "a"]));
    assert_ne!(image(&["--seed", "a"]), image(&["--seed", "b"]));
    let (bytes, json) = image(&["--disk-id", "0x12345678"]);
    assert_eq!(bytes[440..444], [0x78, 0x56, 0x34, 0x12]);
    assert!(json.contains("\"id\": \"0x12345678\""), "{json}");
    let gpt = ["layout", &shipped("block-device-gpt"), "--disk-id", "0x12345678"];
    let said = stderr(&sandbox.kiln(&gpt).output().unwrap());
    assert!(said.contains("no disk of the description has one"), "{said}");
    let nothing = ["layout", &file, "--disk-id", "0"];
    assert_eq!(sandbox.kiln(&nothing).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_size_that_was_asked_for_is_rounded_up_as_in_a_build() {
    let sandbox = Sandbox::new();
    let size = |asked: &str| {
        let words = ["layout", &shipped("block-device-mbr"), "--image-size", asked, "--json"];
        let output = sandbox.kiln(&words).output().unwrap();
        serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap()["disks"][0]["size"].as_u64().unwrap()
    };
    assert_eq!(["64MiB", "64001KiB", "0.1001"].map(size), [64 << 20, 1001 << 16, 1641 << 16]);
}

#[test]
fn a_drawing_is_a_file_of_its_own() {
    let sandbox = Sandbox::new();
    let output = sandbox.kiln(&["layout", &shipped("block-device-efi-lvm"), "--svg", "disk.svg"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let drawing = fs::read_to_string(sandbox.path().join("disk.svg")).unwrap();
    assert!(drawing.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && drawing.contains(">lv_home</text>"));
    assert!(!drawing.contains("href"), "it needs something from outside");
}

#[test]
fn what_a_build_takes_from_the_environment_counts() {
    let sandbox = Sandbox::new();
    let file = examples().join("gpt-shares.yaml");
    let words = ["layout", file.to_str().unwrap(), "--image-size", "10"];
    let said = |name: &str, value: &str| {
        let output = sandbox.kiln(&words).env(name, value).output().unwrap();
        format!("{}{}", stdout(&output), stderr(&output))
    };
    assert!(said("FS_TYPE", "xfs").contains("img-rootfs"));
    assert!(said("DIB_BLOCK_SIZE", "4096").contains("sectors of 4096 bytes"));
    assert!(said("DIB_BLOCK_SIZE", "1000").contains("neither 512 nor 4096"));
    assert!(said("ROOT_LABEL", "mine").contains("mine"));
}

#[test]
fn a_build_takes_its_description_from_a_variable_or_a_file_and_its_errors_have_lines() {
    let sandbox = Sandbox::new();
    let yaml = fs::read_to_string(shipped("block-device-efi")).unwrap();
    fs::write(sandbox.path().join("disk.yaml"), &yaml).unwrap();
    let file = format!("file://{}", sandbox.path().join("disk.yaml").to_str().unwrap());
    let plan = |config: &str, words: &[&str]| {
        let words = [&["plan", "vm", "debian-minimal"], words].concat();
        sandbox.kiln(&words).env("DIB_BLOCK_DEVICE_CONFIG", config).env("DIB_BLOCK_SIZE", "4096").output().unwrap()
    };
    for config in [yaml.as_str(), &file] {
        let output = plan(config, &["--json"]);
        let plan: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        assert_eq!(plan["disk"]["config"]["loops"][0]["block_size"], 4096);
        assert_eq!(plan["disk"]["config"]["tables"][0]["partitions"].as_array().unwrap().len(), 3);
    }
    let said = stderr(&plan(&file, &["--image-size", "300MiB"]));
    assert!(said.contains("disk.yaml:7: partition `ESP` on `image0` needs 550 MiB"), "{said}");
}

const PLAIN: &str =
    "- local_loop: {name: image0, size: 64MiB, mkfs: {name: mkfs_root, type: ext4, mount: {mount_point: /}}}\n";

#[test]
fn files_are_written_whole_or_not_at_all_and_nothing_is_taken_for_one() {
    let sandbox = Sandbox::new();
    let second = "- local_loop: {name: d2, size: 8000000TiB}\n";
    fs::write(sandbox.path().join("disk.yaml"), PLAIN).unwrap();
    fs::write(sandbox.path().join("large.yaml"), format!("{PLAIN}{second}")).unwrap();
    fs::write(sandbox.path().join("old.raw"), "precious").unwrap();
    let refused = |words: &[&str], reason: &str| {
        let output = sandbox.kiln(&[&["layout"], words].concat()).output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains(reason), "{words:?}: {}", stderr(&output));
        let mut files: Vec<_> = fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["disk.yaml", "large.yaml", "old.raw"], "{words:?}");
        assert_eq!(fs::read(sandbox.path().join("old.raw")).unwrap(), b"precious");
        assert_eq!(fs::read_to_string(sandbox.path().join("disk.yaml")).unwrap(), PLAIN);
    };
    refused(&["large.yaml", "--write", "old.raw", "--svg", "x.svg"], "cannot write old.d2.raw");
    refused(&["disk.yaml", "--write", "disk.yaml"], "the description itself");
    refused(&["disk.yaml", "--svg", "./disk.yaml"], "the description itself");
    refused(&["disk.yaml", "--svg", "x", "--write", "x"], "both the image and the drawing");
    refused(&["disk.yaml", "--write", "x.qcow2"], "the name of another format (qcow2)");
    refused(&["disk.yaml", "--write", "/dev/null"], "it is a device");
    refused(&["disk.yaml", "--write", "none/x.raw"], "does not exist");
}

#[test]
fn what_cannot_be_printed_is_no_success() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("disk.yaml"), PLAIN).unwrap();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let output = sandbox.kiln(&["layout", "disk.yaml", "--json"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot print"), "{}", stderr(&output));
    let output = sandbox.kiln(&["layout", "none.yaml"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_mbr_may_need_more_than_a_tebibyte() {
    let sandbox = Sandbox::new();
    let yaml = "- local_loop: {name: image0}\n- partitioning:\n    base: image0\n    label: mbr\n    partitions: [{name: root, \
                flags: [primary], size: 1500GiB, mkfs: {name: mkfs_root, type: xfs, mount: {mount_point: /}}}]\n";
    fs::write(sandbox.path().join("disk.yaml"), yaml).unwrap();
    let output = sandbox.kiln(&["layout", "disk.yaml"]).output().unwrap();
    assert!(stdout(&output).starts_with("image0: 1536002 MiB"), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn misspelt_keys_and_unknown_types_are_warned_of() {
    let sandbox = Sandbox::new();
    let yaml = "- local_loop: {name: image0}\n- mkfs: {name: root, base: image0, type: ex4, lable: a, mount: {mount_point: /}}\n";
    fs::write(sandbox.path().join("disk.yaml"), yaml).unwrap();
    let output = sandbox.kiln(&["layout", "disk.yaml"]).output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("warning: disk.yaml: line 2: mkfs `root`: `lable` means nothing here"), "{said}");
    assert!(said.contains("nothing here is known of the type `ex4`"), "{said}");
    // It may be why something is missing.
    fs::write(sandbox.path().join("disk.yaml"), PLAIN.replace("mkfs:", "mkfs_:")).unwrap();
    let said = stderr(&sandbox.kiln(&["layout", "disk.yaml"]).output().unwrap());
    assert!(said.contains("no file system is mounted") && said.contains("`mkfs_` means nothing here"), "{said}");
}

#[test]
fn every_description_in_the_document_is_solved() {
    let sandbox = Sandbox::new();
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/block-devices.md")).unwrap();
    let blocks: Vec<&str> = document.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 10, "{}", blocks.len());
    for block in blocks {
        fs::write(sandbox.path().join("disk.yaml"), block).unwrap();
        let output = sandbox.kiln(&["layout", "disk.yaml"]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{block}\n{}", stderr(&output));
    }
}
