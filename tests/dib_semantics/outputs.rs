//! What a build leaves: names of files, old images, the tidied tree, folders that it works in.

use std::fs;
use std::process::Command;

use super::good;
use crate::support::{approve, stderr, stdout};
use crate::workshop::Workshop;

#[test]
fn outputs_have_dibs_names_and_old_ones_are_renamed() {
    let workshop = Workshop::new();
    let words = ["-o", "img", "-t", "tar,tgz,squashfs,raw,qcow2", "--checksum", "mini"];
    good(workshop.dib("disk-image-create", &words));
    let names = || {
        let entries = fs::read_dir(workshop.path()).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("img"));
        names.sort();
        names
    };
    let mut expected = Vec::new();
    for suffix in ["qcow2", "raw", "squash", "tar", "tgz"] {
        expected.extend(["", ".md5", ".sha256"].map(|digest| format!("img.{suffix}{digest}")));
    }
    assert_eq!(names(), expected);
    let said = stdout(&good(workshop.dib("disk-image-create", &words)));
    // tar and squashfs are replaced; what is renamed takes its digests along.
    let dated: Vec<String> = names().into_iter().filter(|name| !expected.contains(name)).collect();
    let shape = |name: &String| name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    let mut wanted = Vec::new();
    for suffix in ["qcow0", "raw", "tgz"] {
        wanted.extend(["", ".md0", ".sha000"].map(|digest| format!("img-0000.00.00-00.00.00.{suffix}{digest}")));
    }
    assert_eq!(dated.iter().map(shape).collect::<Vec<_>>(), wanted, "{dated:?}");
    assert!(
        said.contains("Old image found. Renaming it to") && said.contains("Build completed successfully"),
        "{said}"
    );
    let mut command = workshop.dib_command("disk-image-create", &words);
    good(command.env("OVERWRITE_OLD_IMAGE", "1").output().unwrap());
    assert_eq!(names().len(), expected.len() + dated.len());
}

#[test]
fn a_build_works_in_the_store_whatever_tmpdir_says() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\necho \"$TMP_BUILD_DIR $TMPDIR $TMP_DIR\" > \"$TMP_MOUNT_PATH/etc/where\"\n";
    workshop.element("a", &[("root.d/50-x", hook)]);
    let mut command = workshop.dib_command("disk-image-create", &["-t", "tar", "-o", "out", "mini", "a"]);
    good(command.env("TMPDIR", "/var/tmp").env("TMP_DIR", "/nowhere").output().unwrap());
    let store = workshop.path().join("store");
    let seen = workshop.read("etc/where");
    assert!(seen.starts_with(store.to_str().unwrap()) && seen.ends_with(" /var/tmp /nowhere\n"), "{seen}");
}

#[test]
fn temporary_files_and_logs_go_after_the_last_hook() {
    let workshop = Workshop::new();
    let leave = "#!/bin/bash\nmkdir -p /tmp/folder /root/x \"/tmp/with blank\"\necho t > \"/tmp/with blank/it's\"\n\
                 echo l > /var/log/a.log\nmkdir /var/log/sub\necho l > /var/log/sub/b\necho l > /root/x/c.log\necho k > /root/x/kept\n";
    let look = "#!/bin/bash\nset -e\ntest -s \"$TARGET_ROOT/var/log/a.log\"\ntest -e \"$TARGET_ROOT/tmp/with blank/it's\"\n\
                test -e \"$TARGET_ROOT/root/x/c.log\"\n";
    workshop.element("a", &[("install.d/50-leave", leave), ("cleanup.d/999-look", look)]);
    workshop.build(&["a"]);
    for gone in ["tmp/folder/", "tmp/with blank/", "root/x/c.log"] {
        assert!(!workshop.has(gone), "{gone}");
    }
    assert_eq!((workshop.read("var/log/a.log"), workshop.read("var/log/sub/b")), (String::new(), String::new()));
    assert_eq!(workshop.read("root/x/kept"), "k\n");
    assert!(workshop.has("tmp/"));
}

#[test]
fn no_final_image_counts_wherever_it_stands_in_a_name() {
    let workshop = Workshop::new();
    workshop.element("my-no-final-image-x", &[("README.rst", "")]);
    workshop.build(&["my-no-final-image-x", "-t", "qcow2,raw,tgz"]);
    let made = |name: &str| workshop.path().join(name).exists();
    assert!(made("out.tar") && made("out.tgz") && !made("out.qcow2") && !made("out.raw"));
}

#[test]
fn beside_a_ram_disk_its_tree_is_written_in_any_form_and_no_disk() {
    let workshop = Workshop::new();
    workshop.element("own", &[("README.rst", "")]);
    let types = "qcow2,tar,tgz,tar.zst,squashfs,erofs,oci,vhd";
    good(workshop.dib("ramdisk-image-create", &["-o", "out", "-t", types, "--ramdisk-element", "own", "mini"]));
    let made = |name: &&str| workshop.path().join(name).exists();
    for name in ["out.tar", "out.tgz", "out.tar.zst", "out.squash", "out.erofs", "out.oci.tar"] {
        assert!(made(&name), "{name}");
    }
    assert!(!["out.qcow2", "out.vhd", "out.raw"].iter().any(made));
}

#[test]
fn images_of_a_yaml_file_are_built_one_after_the_other() {
    let workshop = Workshop::new();
    workshop.element("fails", &[("install.d/50-x", "#!/bin/bash\nexit 3\n")]);
    workshop.element("tells", &[("install.d/50-x", "#!/bin/bash\necho \"$DIB_X $DIB_DEBUG_TRACE\" > /etc/told\n")]);
    let text = "- imagename: one\n  types: [tar]\n  skip-base: true\n  elements: [mini, fails]\n\
                - imagename: out\n  types: [tar]\n  skip-base: true\n  elements: [mini]\n  environment: {DIB_X: 'a  b'}\n\
                - elements: [tells]\n  debug-trace: 1\n";
    fs::write(workshop.path().join("images.yaml"), text).unwrap();
    let output = workshop.dib("diskimage-builder", &["images.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("DIB_X='a  b' disk-image-create -o out -t tar -x -n mini tells"), "{said}");
    assert!(said.contains("1 of 2 images failed: one (exit status 3)"), "{said}");
    assert_eq!(workshop.read("etc/told"), "a  b 1\n");
    assert!(!workshop.path().join("one.tar").exists());
}

#[test]
fn a_docker_image_is_piped_to_the_client() {
    let workshop = Workshop::new();
    // It stands for the machine's own client: a daemon is not to be had everywhere.
    let client = "#!/bin/sh\necho \"$@\" > \"$RECORD/words\"\ncat > \"$RECORD/stdin.tar\"\necho sha256:0123\n"
        .replace("$RECORD", workshop.path().to_str().unwrap());
    let bin = workshop.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("docker"), client).unwrap();
    approve("chmod", &["755", bin.join("docker").to_str().unwrap()]);
    let mount = format!("mount --bind {} /usr/local/bin && exec \"$@\"", bin.display());
    let build = workshop.dib_command("disk-image-create", &["-t", "docker", "--docker-target", "shop/web:1", "mini"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &mount, "sh"]).arg(build.get_program()).args(build.get_args());
    command.env_clear().current_dir(workshop.path());
    command.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = good(command.output().unwrap());
    assert_eq!(fs::read_to_string(workshop.path().join("words")).unwrap(), "import - shop/web:1\n");
    let list = approve("tar", &["-tf", workshop.path().join("stdin.tar").to_str().unwrap()]);
    assert!(
        list.lines().any(|name| name == "./bin/bash") && !list.lines().any(|name| name.starts_with("./dev/n")),
        "{list}"
    );
    assert!(stdout(&output).contains("docker has the image shop/web:1: sha256:0123"), "{}", stdout(&output));
    assert!(!workshop.path().join("image.docker").exists());
}
