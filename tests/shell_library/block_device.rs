//! dib-block-device: what it answers, and what it refuses.

use super::*;

fn setup(sandbox: &Sandbox, config: &str, more: &str) -> PathBuf {
    let build = sandbox.path().join("build");
    write(&build.join("block-device/config.yaml"), config, 0o644);
    let params = build.join("block-device/params.yaml");
    let text = format!(
        "config: {}\nimage-dir: /i\nroot-fs-type: ext4\nmount-base: {1}/mnt\nbuild-dir: {1}\n{more}",
        build.join("block-device/config.yaml").display(),
        build.display()
    );
    write(&params, &text, 0o644);
    params
}

fn ask(library: &Path, params: &Path, words: &[&str]) -> Output {
    let mut command = hook("python3", library);
    command.arg(library.join("dib-block-device.py")).args(words).env("DIB_BLOCK_DEVICE_PARAMS_YAML", params);
    command.output().unwrap()
}

const LAYOUT: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: boot, size: 500MiB, mkfs: {type: ext4, mount: {mount_point: /boot}}}
      - {name: swap, size: 500MiB, mkfs: {type: swap, label: sw, mount: {mount_point: none}}}
      - name: root
        size: 100%
        mkfs: {name: mkfs_root, mount: {mount_point: /}}
";

#[test]
fn questions_before_there_are_devices_are_answered_from_the_description() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let params = setup(&sandbox, LAYOUT, "root-label: null\n");
    let value = |symbol: &str| said(&ask(&library, &params, &["getval", symbol]));
    assert_eq!(value("root-label"), "cloudimg-rootfs\n");
    assert_eq!(value("root-fstype"), "ext4\n");
    assert_eq!(value("boot-label"), "mkfs_boot\n");
    assert_eq!(value("mount-points"), "/boot|none|/\n");
    assert_eq!(said(&ask(&library, &params, &["init"])), "");

    let params = setup(&sandbox, LAYOUT, "root-label: mine\n");
    assert_eq!(said(&ask(&library, &params, &["getval", "root-label"])), "mine\n");
    let params = setup(&sandbox, "- local_loop: {name: image0}\n", "");
    let rootless = ask(&library, &params, &["getval", "root-label"]);
    assert_eq!(rootless.status.code(), Some(1));
    assert!(stderr(&rootless).contains("no file system is mounted at `/`"), "{}", stderr(&rootless));
    let params = setup(&sandbox, "- nothing: {}\n", "");
    assert_eq!(ask(&library, &params, &["init"]).status.code(), Some(1));
}

#[test]
fn questions_about_devices_are_answered_from_the_state() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let params = setup(&sandbox, LAYOUT, "");
    let early = ask(&library, &params, &["getval", "image-block-device"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(stderr(&early).contains("State dump not found"), "{}", stderr(&early));
    assert_eq!(ask(&library, &params, &["getval", "nonsense"]).status.code(), Some(1));
    write(
        &sandbox.path().join("build/states/block-device/state.json"),
        r#"{"blockdev": {"image0": {"device": "/dev/loop7", "image": "/i/image0.raw"}, "root": {"device": "/dev/loop7p3"}}}"#,
        0o644,
    );
    let value = |symbol: &str| said(&ask(&library, &params, &["getval", symbol]));
    assert_eq!(value("image-path"), "/i/image0.raw\n");
    assert_eq!(value("image-block-device"), "/dev/loop7\n");
    assert_eq!(value("image-block-devices"), " [image0]=/dev/loop7  [root]=/dev/loop7p3 \n");
    let unknown = ask(&library, &params, &["getval", "nonsense"]);
    assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (Some(0), ""));
    assert!(stderr(&unknown).contains("Invalid symbol [nonsense]"), "{}", stderr(&unknown));
}

#[test]
fn what_kiln_does_itself_is_refused_and_statuses_are_dibs() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let params = setup(&sandbox, LAYOUT, "");
    for (words, status, text) in [
        (&["create"][..], 1, "itself"),
        (&["cleanup"], 1, "itself"),
        (&["delete"], 1, "itself"),
        (&["writefstab"], 1, "itself"),
        (&["umount"], 0, "State already cleaned"),
        (&[], 1, "no command"),
        (&["explode"], 2, "explode"),
        (&["getval"], 2, "SYMBOL"),
    ] {
        let output = ask(&library, &params, words);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{words:?}: {}", stderr(&output));
    }
    let absent = ask(&library, Path::new("/nowhere/params.yaml"), &["init"]);
    assert_eq!(absent.status.code(), Some(1));
    let unnamed = hook("python3", &library).arg(library.join("dib-block-device.py")).arg("init").output().unwrap();
    assert_eq!(unnamed.status.code(), Some(2), "{}", stderr(&unnamed));
}
