//! A ramdisk made with the library's functions out of the machine's own files, in namespaces of its own.

use super::*;

/// What an element's script does inside an image, in the order that the functions want. Nothing of DIB's own variables is set.
const SCRIPT: &str = r#"
set -eu -o pipefail
mount -t tmpfs none /boot
touch /boot/vmlinuz-6.1.0-9-test /boot/vmlinuz-6.1.0-10-test
mount -t tmpfs none /tmp
mkdir -p /tmp/in_target.d/{init.d,udev.d,ramdisk-install.d} "$ROOT"/lib/{modules,firmware}
cp -a "$LIBRARY/dib-run-parts" /tmp/in_target.d/
echo 'echo first' >/tmp/in_target.d/init.d/10-first
echo 'echo second' >/tmp/in_target.d/init.d/20-second
echo 'ACTION=="add"' >/tmp/in_target.d/udev.d/60-own.rules
printf '#!/bin/bash\ntouch $TMP_MOUNT_PATH/installed\n' >/tmp/in_target.d/ramdisk-install.d/10-touch
chmod 755 /tmp/in_target.d/ramdisk-install.d/10-touch

_LIB=/tmp/ramdisk-build
mkdir -p $_LIB
cp "$LIBRARY"/{common,ramdisk,img}-{defaults,functions} $_LIB
source $_LIB/common-defaults
source $_LIB/img-defaults
source $_LIB/ramdisk-defaults
source $_LIB/common-functions
source $_LIB/img-functions
source $_LIB/ramdisk-functions

KERNEL_VERSION=$(find_kernel_version)
MODULE_DIR=$ROOT/lib/modules/$KERNEL_VERSION FIRMWARE_DIR=$ROOT/lib/firmware
mkdir -p $MODULE_DIR/kernel/drivers/{video/fbdev,net}
touch $MODULE_DIR/kernel/drivers/video/fbdev/{vfb.ko,s3fb.ko.xz} $MODULE_DIR/kernel/drivers/net/e1000.ko
touch $FIRMWARE_DIR/blob
LIB_UDEV=$ROOT/lib/udev INIT=$ROOT/init FUNCTIONS_D=$ROOT/functions
BUSYBOX=$(type -p busybox)
mk_build_dir
mkdir -p $TMP_BUILD_DIR/mnt
export TMP_HOOKS_PATH=/tmp TMP_MOUNT_PATH=$TMP_BUILD_DIR/mnt
create_ramdisk_base
populate_lib
populate_busybox
populate_init
populate_udev
TMP_HOOKS_PATH=/tmp/in_target.d run_d ramdisk-install
finalise_image
save_image "$OUT/ramdisk"
trap EXIT
echo "kernel $KERNEL_VERSION"
"#;

fn prepared(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path().join("root");
    write(&root.join("lib/udev/rules.d/80-drivers.rules"), "# drivers\n", 0o644);
    write(&root.join("init"), "#!/bin/bash\necho begin\n", 0o755);
    write(&root.join("init-end"), "echo end\n", 0o644);
    write(&root.join("functions/init-func"), "true\n", 0o644);
    // Programs that a machine for tests may lack; what is shown does not depend on them.
    for program in ["udevadm", "shutdown", "modprobe", "lsmod", "wget", "reboot"] {
        write(&root.join("bin").join(program), "#!/bin/sh\n", 0o755);
    }
    root
}

fn make(sandbox: &Sandbox, library: &Path, out: &str, script: &str) -> Output {
    let root = sandbox.path().join("root");
    let folder = sandbox.path().join(out);
    fs::create_dir_all(&folder).unwrap();
    let path = format!("{}:{}", std::env::var("PATH").unwrap(), root.join("bin").display());
    let mut command = hook("unshare", library);
    command.args(["--map-root-user", "--mount", "bash", "-c", script]);
    command.env("PATH", path).env("ROOT", &root).env("LIBRARY", library).env("OUT", &folder);
    command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap()
}

#[test]
fn a_ramdisk_has_programs_that_run_in_it_and_the_elements_parts() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let root = prepared(&sandbox);
    let text = said(&make(&sandbox, &library, "one", SCRIPT));
    assert!(text.ends_with("kernel 6.1.0-10-test\n"), "{text}");

    // Files with set modes and no devices: cpio needs no root to unpack them.
    let tree = sandbox.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let unpack = format!("cd {} && gzip -dc ../one/ramdisk | cpio -i --quiet", tree.display());
    said(&bash(&library, &unpack));
    let init = fs::read_to_string(tree.join("init")).unwrap();
    assert_eq!(
        init,
        "#!/bin/bash\necho begin\n\n# the part of 10-first\necho first\n\n# the part of 20-second\necho second\necho end\n"
    );
    let modules = tree.join("lib/modules/6.1.0-10-test/kernel/drivers");
    assert!(modules.join("net/e1000.ko").is_file());
    assert_eq!(fs::read_dir(modules.join("video/fbdev")).unwrap().count(), 0, "drivers of graphical consoles stayed");
    for file in ["lib/firmware/blob", "lib/udev/rules.d/60-own.rules", "lib/udev/rules.d/80-drivers.rules", "init-func"]
    {
        assert!(tree.join(file).is_file(), "{file}");
    }
    assert!(tree.join("installed").is_file(), "the hooks of ramdisk-install.d did not run");
    assert_eq!(fs::read_link(tree.join("sbin")).unwrap(), Path::new("bin"));

    // Its bash finds its libraries and runs /init; busybox answers to its other names.
    let inside = |words: &[&str]| {
        let mut command = hook("unshare", &library);
        command.args(["--map-root-user", "chroot"]).arg(&tree).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        said(&command.output().unwrap())
    };
    assert_eq!(inside(&["/init"]), "begin\nfirst\nsecond\nend\n");
    assert_eq!(inside(&["/bin/cat", "/etc/modprobe.d/blacklist-dib-ramdisk.conf"]), "blacklist evbug\n");

    // The same files give the same archive, however old they are.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    write(&root.join("lib/firmware/blob"), "", 0o644);
    said(&make(&sandbox, &library, "two", SCRIPT));
    let archive = |name: &str| fs::read(sandbox.path().join(name).join("ramdisk")).unwrap();
    assert!(archive("one") == archive("two"), "the archives differ");
}

#[test]
fn what_a_ramdisk_lacks_is_named() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let root = prepared(&sandbox);
    // The machine's own /etc has no such list: one that has nothing else stands for it.
    let script =
        SCRIPT.replace("_LIB=/tmp", "mount -t tmpfs none /etc\necho no-such-program >/etc/dib_binary_deps\n_LIB=/tmp");
    let program = make(&sandbox, &library, "one", &script);
    assert_eq!(program.status.code(), Some(1), "{}", stderr(&program));
    assert!(stderr(&program).contains("no-such-program is not found in PATH"), "{}", stderr(&program));

    let kernel = make(&sandbox, &library, "one", &SCRIPT.replace("touch /boot", ": touch /boot"));
    assert_eq!(kernel.status.code(), Some(1));
    assert!(stderr(&kernel).contains("there is no kernel in /boot"), "{}", stderr(&kernel));

    fs::remove_file(root.join("lib/udev/rules.d/80-drivers.rules")).unwrap();
    let udev = make(&sandbox, &library, "one", SCRIPT);
    assert_eq!(udev.status.code(), Some(1));
    assert!(stdout(&udev).contains("an element has to install udev"), "{}", stdout(&udev));
}
