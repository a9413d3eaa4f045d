//! Many of upstream's elements in one image, one of them with a source from a git server, one with a package from an archive of the
//! test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tree::{self, Tree};
use super::{boot, create};
use crate::support::{Sandbox, approve, upstream_elements};

/// `modprobe-blacklist` stands beside `modprobe`, which `debootstrap` brings.
const ELEMENTS: [&str; 17] = [
    "debian-minimal",
    "vm",
    "block-device-efi",
    "cloud-init-datasources",
    "devuser",
    "openssh-server",
    "dhcp-all-interfaces",
    "runtime-ssh-host-keys",
    "growroot",
    "enable-serial-console",
    "sysprep",
    "stable-interface-names",
    "modprobe-blacklist",
    "journal-to-console",
    "pip-and-virtualenv",
    "source-repositories",
    "sourced",
];

/// A git server of one repository, until it is dropped.
struct GitServer {
    daemon: Child,
    port: u16,
}

impl GitServer {
    /// Serves `repo` below `folder`, which has the tag `v1` and, above it, a commit without `marker`.
    fn new(folder: &Path) -> Self {
        let repo = folder.join("repo");
        let script = "git init -q -b master \"$0\"; cd \"$0\"; git config user.email a@b; git config user.name a
            echo tagged > marker; git add .; git commit -qm one; git tag v1; git rm -q marker; git commit -qm two";
        approve("bash", &["-euc", script, repo.to_str().unwrap()]);
        let port = free_port();
        // The daemon itself: `git daemon` would be its parent, and leave it behind.
        let programs = approve("git", &["--exec-path"]);
        let daemon = Command::new(Path::new(programs.trim()).join("git-daemon"))
            .args(["--export-all", "--listen=127.0.0.1", &format!("--port={port}")])
            .arg(format!("--base-path={}", folder.to_str().unwrap()))
            .arg(folder)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { daemon, port };
        wait_for(port);
        server
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A place on this machine that nobody listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens there.
fn wait_for(port: u16) {
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody answers at {port}")
}

/// An archive of one package, biosdevname, which Debian 12 does not have, served until it is dropped.
struct Archive {
    server: Child,
    port: u16,
}

impl Archive {
    fn new(folder: &Path) -> Self {
        let (archive, package) = (folder.join("archive"), folder.join("package"));
        let control = "Package: biosdevname\nVersion: 0.7.3-0test\nArchitecture: all\nMaintainer: Test <test@example.org>\n\
                       Description: names network interfaces as the firmware does\n stands in for it\n";
        for (file, text, mode) in
            [("DEBIAN/control", control, 0o644), ("usr/sbin/biosdevname", "#!/bin/sh\necho em1\n", 0o755)]
        {
            let path = package.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(&archive).unwrap();
        let deb = archive.join("biosdevname.deb");
        approve("dpkg-deb", &["--root-owner-group", "--build", package.to_str().unwrap(), deb.to_str().unwrap()]);
        let digest = approve("sha256sum", &[deb.to_str().unwrap()]);
        let (digest, size) = (digest.split(' ').next().unwrap(), fs::metadata(&deb).unwrap().len());
        let index = format!("{control}Filename: ./biosdevname.deb\nSize: {size}\nSHA256: {digest}\n");
        fs::write(archive.join("Packages"), index).unwrap();
        let port = free_port();
        let server = Command::new("python3")
            .args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()])
            .current_dir(&archive)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let archive = Self { server, port };
        wait_for(port);
        archive
    }

    /// A hook that tells the image's apt of it.
    fn source(&self) -> String {
        let list = "$TMP_MOUNT_PATH/etc/apt/sources.list.d/test.list";
        let line = format!("deb [trusted=yes] http://127.0.0.1:{} ./", self.port);
        format!("#!/bin/bash\nset -eu\necho '{line}' > \"{list}\"\n")
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Forbids stable names of interfaces: `stable-interface-names` shall take that away.
const NO_NAMES: &str =
    "#!/bin/bash\nset -eu\nmkdir -p /etc/udev/rules.d\nln -s /dev/null /etc/udev/rules.d/80-net-name-slot.rules\n";

fn sourced(sandbox: &Sandbox, server: &GitServer, archive: &Archive) {
    let install = "#!/bin/bash\nset -eu\nread -r text < /opt/sourced/marker\necho \"$text\" > /etc/sourced\n";
    sandbox.element(
        "sourced",
        &[
            ("element-deps", "source-repositories\n"),
            (
                "source-repository-sourced",
                &format!("sourced git /opt/sourced git://127.0.0.1:{}/repo v1\n", server.port),
            ),
            ("extra-data.d/50-archive", &archive.source()),
            ("install.d/50-sourced", install),
            ("pre-install.d/50-no-names", NO_NAMES),
        ],
    );
    for hook in ["extra-data.d/50-archive", "install.d/50-sourced", "pre-install.d/50-no-names"] {
        let hook = sandbox.path().join("elements/sourced").join(hook);
        fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn text(tree: &Tree, path: &str) -> String {
    let entry = tree.get(path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8_lossy(&entry.content).into_owned()
}

#[test]
fn a_large_set_of_upstreams_elements_makes_an_image_that_boots_by_uefi() {
    let sandbox = Sandbox::new();
    let (server, archive) = (GitServer::new(sandbox.path()), Archive::new(sandbox.path()));
    sourced(&sandbox, &server, &archive);
    let path = format!("{}:{}", sandbox.path().join("elements").display(), upstream_elements().display());
    let no_proxy = std::env::var("no_proxy").unwrap_or_default() + ",127.0.0.1";
    let more = [
        ("no_proxy", no_proxy.as_str()),
        ("DIB_MODPROBE_BLACKLIST", "pcspkr floppy"),
        ("DIB_DEV_USER_USERNAME", "somebody"),
        ("DIB_DEV_USER_PASSWORD", "secret"),
        ("DIB_DEV_USER_SHELL", "/bin/bash"),
        ("DIB_CLOUD_INIT_DATASOURCES", "ConfigDrive, None"),
        // To upstream every Debian has python 2.
        ("DIB_PYTHON_VERSION", "3"),
        // Its sources are of pythons that Debian 12 does not have any more.
        ("DIB_INSTALLTYPE_pip_and_virtualenv", "package"),
    ];
    let words = ["-o", "large", "-t", "raw,tar"];
    create(sandbox.path(), &[&words[..], &ELEMENTS].concat(), &path, &more);
    check(&tree::read(&sandbox.path().join("large.tar")));
    boot(&sandbox.path().join("large.raw"), &["--uefi"]);
}

/// One trace of each element.
fn check(tree: &Tree) {
    assert_eq!(text(tree, "/etc/sourced"), "tagged\n");
    assert!(text(tree, "/etc/dib-manifests/dib-manifest-git-large").contains("git://127.0.0.1"));
    assert!(
        text(tree, "/etc/passwd").lines().any(|line| line.starts_with("somebody:") && line.ends_with(":/bin/bash"))
    );
    for path in [
        "/usr/sbin/sshd",
        "/usr/bin/growpart",
        "/usr/local/sbin/dhcp-all-interfaces.sh",
        "/usr/bin/pip3",
        "/etc/systemd/system/multi-user.target.wants/ssh-keygen.service",
        "/etc/systemd/journald.conf.d/log-to-console.conf",
        "/usr/sbin/biosdevname",
    ] {
        assert!(tree.contains_key(path), "{path}");
    }
    assert!(!tree.contains_key("/etc/udev/rules.d/80-net-name-slot.rules"), "interfaces have no stable names");
    assert_eq!(text(tree, "/etc/modprobe.d/blacklist.conf"), "blacklist pcspkr\nblacklist floppy\n");
    assert!(text(tree, "/etc/machine-id").trim().len() < 32, "every machine would have the same identity");
}
