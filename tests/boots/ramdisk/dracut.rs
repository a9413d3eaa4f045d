//! The RAM disk of `dracut-ramdisk`, which Debian's own dracut makes.

use std::fs;
use std::path::Path;

use super::{check, console, create};
use crate::support::{Sandbox, a_core, approve, one_build, upstream_elements};

/// Upstream's `deploy-targetcli`, unmodified, with what Debian calls its package, and a setting of dracut: gzip at its best
/// takes minutes of a build whose file is booted once.
fn deploy_targetcli(elements: &Path) {
    let words = ["-r", upstream_elements().join("deploy-targetcli").to_str().unwrap(), elements.to_str().unwrap()]
        .map(str::to_owned);
    fs::create_dir_all(elements).unwrap();
    approve("cp", &words.each_ref().map(String::as_str));
    let element = elements.join("deploy-targetcli");
    fs::write(element.join("pkg-map"), r#"{"family": {"debian": {"targetcli": "targetcli-fb"}}}"#).unwrap();
    fs::write(element.join("element-deps"), "install-static\npackage-installs\npkg-map\n").unwrap();
    let settings = element.join("static/etc/dracut.conf.d");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("quick.conf"), "compress=\"gzip -1\"\n").unwrap();
}

/// The source of dracut that `dracut-ramdisk` fetches on every distribution, and unpacks on none but Ubuntu.
fn source(folder: &Path) -> String {
    let (name, archive) = (folder.join("dracut-037"), folder.join("dracut.tar.xz"));
    fs::create_dir(&name).unwrap();
    fs::write(name.join("README"), "not used on Debian\n").unwrap();
    approve("tar", &["-C", folder.to_str().unwrap(), "-cJf", archive.to_str().unwrap(), "dracut-037"]);
    format!("file://{}", archive.display())
}

#[test]
fn a_ramdisk_that_dracut_makes_boots_to_the_init_of_upstreams_elements() {
    let sandbox = Sandbox::new();
    let elements = sandbox.path().join("elements");
    deploy_targetcli(&elements);
    let source = source(sandbox.path());
    let path = format!("{}:{}", elements.display(), upstream_elements().display());
    let words = ["--ramdisk-element", "dracut-ramdisk", "-p", "net-tools,iputils-ping"];
    let turn = one_build();
    let [kernel, initramfs] = create(&sandbox, &words, &path, &[("DIB_REPOLOCATION_dracut", &source)]);
    let listed = approve("bash", &["-c", "gzip -dc \"$0\" | cpio --quiet -t", initramfs.to_str().unwrap()]);
    // What upstream's lists of programs and drivers name.
    for file in ["usr/bin/targetcli", "usr/bin/tftp", "init-func", "/virtio_net.ko"] {
        assert!(listed.lines().any(|line| line.ends_with(file)), "no {file} in\n{listed}");
    }
    drop(turn);
    let turn = a_core();
    let console = console(&kernel, &initramfs);
    drop(turn);
    // Its init is sourced by a hook of dracut, which says each line of it; after the last one it reboots.
    let lines = [
        "hooks/pre-mount/50-init.sh",
        "echo init",
        "source /init-func",
        "echo 'network ready'",
        "reboot -f",
        "reboot: Restarting system",
    ];
    check(&console, &lines);
}
