//! `kiln convert`, `kiln inspect` and `kiln push`, from outside.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Sandbox, approve, stderr, stdout};

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
    let left: Vec<_> = fs::read_dir(sandbox.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
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

/// A registry on this machine; ends with the test.
struct Registry(Child, u16);

impl Registry {
    /// `None` when the program is missing.
    fn start(sandbox: &Sandbox) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = sandbox.path().join("registry");
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            folder.display()
        );
        let file = sandbox.path().join("registry.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("docker-registry");
        let child = command.arg("serve").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the registry does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Self(child, port))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A layout with one small layer, as `kiln build -t oci` writes it, made by hand from what it says.
fn layout(sandbox: &Sandbox) {
    let script = "mkdir -p l/blobs/sha256 tree; echo hello > tree/file; tar -C tree --sort=name -cf layer .
        put() { d=$(sha256sum $1 | cut -d' ' -f1); cp $1 l/blobs/sha256/$d; echo $d; }
        layer=$(put layer)
        printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}' $layer > config
        config=$(put config)
        printf '{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%s},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%s\",\"size\":%s}]}' $config $(stat -c %s config) $layer $(stat -c %s layer) > manifest
        manifest=$(put manifest)
        printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%s}]}' $manifest $(stat -c %s manifest) > l/index.json
        echo '{\"imageLayoutVersion\":\"1.0.0\"}' > l/oci-layout
        tar -C l -cf image.oci.tar oci-layout index.json blobs";
    let made = Command::new("sh").args(["-ec", script]).current_dir(sandbox.path()).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
}

#[test]
fn an_image_is_pushed_once_and_its_layers_are_not_sent_again() {
    let sandbox = Sandbox::new();
    layout(&sandbox);
    let Some(registry) = Registry::start(&sandbox) else {
        eprintln!("skipped: needs docker-registry");
        return;
    };
    let reference = format!("127.0.0.1:{}/team/web:1.0", registry.1);
    assert!(kiln(&sandbox, &["push", "image.oci.tar", &reference]).contains("sent\n"));
    assert!(kiln(&sandbox, &["push", "image.oci.tar", &reference]).contains("2 layers were there"));
    let url = format!("docker://{reference}");
    let seen = approve("skopeo", &["inspect", "--tls-verify=false", &url]);
    assert!(seen.contains("\"Architecture\": \"amd64\""), "{seen}");
    let copy = format!("oci-archive:{}", sandbox.path().join("copy.tar").display());
    approve("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &url, &copy]);
    let refused = refused(&sandbox, &["push", "image.oci.tar", "web:1.0"]);
    assert!(refused.contains("registry.example:5000/web:1.0"), "{refused}");
    let cut = fs::read(sandbox.path().join("image.oci.tar")).unwrap();
    fs::write(sandbox.path().join("cut.oci.tar"), &cut[..1500]).unwrap();
    assert!(!sandbox.kiln(&["push", "cut.oci.tar", &reference]).output().unwrap().status.success());
}
