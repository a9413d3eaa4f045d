//! What hooks call about an image's tree.

use super::*;

fn select(library: &Path, root: &Path, before: &str) -> Output {
    let root = root.display();
    bash(
        library,
        &format!(
            "{before}\nsource $_LIB/img-functions; select_boot_kernel_initrd {root}; echo $KERNEL:$RAMDISK:$BOOTDIR"
        ),
    )
}

#[test]
fn the_newest_kernel_of_each_family_is_found() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let tree = |name: &str, files: &[&str]| {
        let root = sandbox.path().join(name);
        for file in files {
            write(&root.join(file), "", 0o644);
        }
        root
    };
    let expect = |root: &Path, before: &str, expected: &str| {
        let output = select(&library, root, before);
        assert_eq!(said(&output), format!("{expected}:{}/boot\n", root.display()));
    };
    let debian = tree(
        "debug-debian",
        &[
            "etc/debian_version",
            "boot/vmlinuz-6.1.0-9-amd64",
            "boot/initrd.img-6.1.0-9-amd64",
            "boot/vmlinuz-6.1.0-21-amd64",
            "boot/initrd.img-6.1.0-21-amd64",
            "boot/config-6.1.0-21-amd64",
        ],
    );
    expect(&debian, "", "vmlinuz-6.1.0-21-amd64:initrd.img-6.1.0-21-amd64");
    expect(
        &debian,
        "DIB_BAREMETAL_KERNEL_PATTERN='vmlinuz-*-9-*' DIB_BAREMETAL_INITRD_PATTERN='initrd*-9-*'",
        "vmlinuz-6.1.0-9-amd64:initrd.img-6.1.0-9-amd64",
    );
    let ubuntu = tree(
        "ubuntu",
        &[
            "etc/debian_version",
            "boot/vmlinuz-6.8.0-2-generic",
            "boot/vmlinuz-6.8.0-31-generic",
            "boot/vmlinuz-9-lowlatency",
            "boot/initrd.img-6.8.0-2-generic",
            "boot/initrd.img-6.8.0-31-generic",
            "boot/vmlinuz-6.8.0-31-generic.efi.signed",
        ],
    );
    expect(&ubuntu, "", "vmlinuz-6.8.0-31-generic:initrd.img-6.8.0-31-generic");
    write(
        &ubuntu.join("dib-signed-kernel-version"),
        "export DIB_SIGNED_KERNEL_VERSION=6.8.0-31-generic.efi.signed\n",
        0o644,
    );
    expect(&ubuntu, "", "vmlinuz-6.8.0-31-generic.efi.signed:initrd.img-6.8.0-31-generic");
    let redhat = tree(
        "redhat",
        &[
            "etc/redhat-release",
            "boot/vmlinuz-5.14.0-9.el9",
            "boot/vmlinuz-5.14.0-100.el9",
            "boot/vmlinuz-5.14.0-200.el9+debug",
            "boot/initramfs-5.14.0-100.el9.img",
            "boot/initramfs-5.14.0-9.el9.img",
        ],
    );
    expect(&redhat, "", "vmlinuz-5.14.0-100.el9:initramfs-5.14.0-100.el9.img");
    let suse = tree("suse", &["etc/os-release", "boot/vmlinuz-5.3-default", "boot/initrd-5.3-default"]);
    symlink("vmlinuz-5.3-default", suse.join("boot/vmlinuz")).unwrap();
    symlink("initrd-5.3-default", suse.join("boot/initrd")).unwrap();
    expect(&suse, "export DISTRO_NAME=opensuse", "vmlinuz-5.3-default:initrd-5.3-default");
    let gentoo =
        tree("gentoo", &["etc/gentoo-release", "boot/vmlinuz-6.6.1-gentoo", "boot/initramfs-6.6.1-gentoo.img"]);
    expect(&gentoo, "", "vmlinuz-6.6.1-gentoo:initramfs-6.6.1-gentoo.img");

    let nothing = select(&library, &tree("unknown", &["etc/issue"]), "");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stdout(&nothing).contains("Unable to detect operating system"));
    let no_kernel = select(&library, &tree("empty", &["etc/debian_version"]), "");
    assert_eq!(no_kernel.status.code(), Some(1));
    assert!(stdout(&no_kernel).contains("no suitable kernel"), "{}", stdout(&no_kernel));
}

#[test]
fn commands_reach_the_image_with_its_own_surroundings() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    // A chroot that only shows how it was called.
    write(&sandbox.path().join("bin/chroot"), "#!/bin/bash\necho \"root=$1 home=$HOME\"\nshift\nexec \"$@\"\n", 0o755);
    let script = format!(
        "PATH=$_LIB/bin:{}/bin:$PATH TMP_MOUNT_PATH=/the/mnt TMPDIR=/x VIRTUAL_ENV=/v WORD=kept\n\
         export PATH TMPDIR VIRTUAL_ENV WORD\nsource $_LIB/img-functions\n\
         run_in_target 'echo $WORD ${{TMPDIR:-gone}} ${{VIRTUAL_ENV:-gone}}' '&& echo' second\necho $HOME\n\
         run_in_target exit 9",
        sandbox.path().display()
    );
    let output = bash(&library, &script);
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert_eq!(stdout(&output), "root=/the/mnt home=/root\nkept gone gone\nsecond\n/root\nroot=/the/mnt home=/root\n");
}

#[test]
fn a_scratch_folder_is_made_and_removed_also_after_a_failure() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let tmp = sandbox.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    let script = format!(
        "export TMP_DIR={}\nsource $_LIB/common-functions; source $_LIB/img-functions\nmk_build_dir\n\
         mkdir $TMP_BUILD_DIR/mnt; echo data >$TMP_IMAGE_PATH\n[ $TMP_HOOKS_PATH = $TMP_BUILD_DIR/hooks ]\n\
         DIB_CHECKSUM=1 save_image {0}/out.img\nfalse",
        tmp.display()
    );
    let output = bash(&library, &script);
    assert_eq!(output.status.code(), Some(1), "{}{}", stdout(&output), stderr(&output));
    let mut left: Vec<_> =
        fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["out.img", "out.img.md5", "out.img.sha256"]);
    let again = bash(&library, &script);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stdout(&again).contains("is there already"), "{}", stdout(&again));
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 6);
}

#[test]
fn what_is_mounted_below_a_folder_is_unmounted_except_the_images_own() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let mnt = sandbox.path().join("b/mnt");
    let script = format!(
        "source $_LIB/common-functions\nexport PATH=$_LIB/bin:$PATH TMP_MOUNT_PATH={}\nmkdir -p $TMP_MOUNT_PATH\n\
         mount -t tmpfs none $TMP_MOUNT_PATH\ncd $TMP_MOUNT_PATH; mkdir -p boot proc tmp/boot 'tmp/with blank'\n\
         for d in boot proc tmp/boot 'tmp/with blank'; do mount -t tmpfs none \"$d\"; done\n\
         DIB_MOUNTPOINTS='/|/boot|none' unmount_dir $TMP_MOUNT_PATH\n\
         echo left:; while read -r _ where _; do case $where in $TMP_MOUNT_PATH*) echo \"${{where#$TMP_MOUNT_PATH}}\";; esac; done </proc/self/mounts\n\
         unmount_dir $TMP_MOUNT_PATH/none",
        mnt.display()
    );
    let output = hook("unshare", &library)
        .args(["--map-root-user", "--mount", "bash", "-c", &format!("set -eu -o pipefail\n{script}")])
        .output()
        .unwrap();
    let text = said(&output);
    let (_, left) = text.split_once("left:\n").unwrap();
    assert_eq!(left, format!("\n/boot\n*** {}/none is not a directory\n", mnt.display()), "{text}");
}
