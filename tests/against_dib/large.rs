//! Many of upstream's elements in one image, one of them with a source from a git server.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tree::{self, Tree};
use super::{boot, create};
use crate::support::{Sandbox, approve, upstream_elements};

/// `modprobe-blacklist` is not among them: upstream's `debootstrap` brings `modprobe`, and both have the hook
/// `install.d/80-modprobe-blacklist`. `stable-interface-names` is not, either: it wants biosdevname, which Debian 12 does not have.
const ELEMENTS: [&str; 15] = [
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
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the git server does not answer")
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn sourced(sandbox: &Sandbox, port: u16) {
    let install = "#!/bin/bash\nset -eu\nread -r text < /opt/sourced/marker\necho \"$text\" > /etc/sourced\n";
    sandbox.element(
        "sourced",
        &[
            ("element-deps", "source-repositories\n"),
            ("source-repository-sourced", &format!("sourced git /opt/sourced git://127.0.0.1:{port}/repo v1\n")),
            ("install.d/50-sourced", install),
        ],
    );
    let hook = sandbox.path().join("elements/sourced/install.d/50-sourced");
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn text(tree: &Tree, path: &str) -> String {
    let entry = tree.get(path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8_lossy(&entry.content).into_owned()
}

#[test]
fn a_large_set_of_upstreams_elements_makes_an_image_that_boots_by_uefi() {
    let sandbox = Sandbox::new();
    let server = GitServer::new(sandbox.path());
    sourced(&sandbox, server.port);
    let path = format!("{}:{}", sandbox.path().join("elements").display(), upstream_elements().display());
    let more = [
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
    ] {
        assert!(tree.contains_key(path), "{path}");
    }
    assert!(text(tree, "/etc/machine-id").trim().len() < 32, "every machine would have the same identity");
}
