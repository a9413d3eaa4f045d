//! Small root trees that shell hooks can run in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::approve;

/// Tools that hooks of the test call.
const TOOLS: [&str; 19] = [
    "bash", "basename", "cat", "chmod", "chown", "cp", "dd", "dirname", "env", "grep", "install", "ln", "mkdir", "rm",
    "rmdir", "sed", "tee", "touch", "true",
];

/// A tree as distributions leave it, as far as the hooks of the test look.
pub fn make(root: &Path) {
    let files = [
        ("etc/selinux/config", "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"),
        ("etc/dnf/dnf.conf", "[main]\nkeepcache=1\ncachedir=/tmp/yum\nbest=True\n"),
        ("etc/yum.conf", "[main]\ncachedir=/var/cache/yum/$basearch\nkeepcache=0\n"),
        ("etc/yum/vars/x", "x\n"),
        ("etc/machine-id", "0123\n"),
        ("etc/kernel-img.conf", "do_symlinks = yes\nlink_in_boot = no\n"),
        ("etc/modules", "loop\n"),
        ("etc/modprobe.d/blacklist.conf", "blacklist pcspkr\n"),
        ("etc/login.defs", "# x\nUSERGROUPS_ENAB no\nUMASK 022\n"),
        ("etc/cloud/cloud.cfg", "users:\n - default\nssh_genkeytypes: [a]\n   ssh_genkeytypes\nlast: yes\n"),
        ("etc/cloud/cloud.cfg.d/05_logging.cfg", "x\n"),
        (
            "etc/yum.repos.d/rocky.repo",
            "[b]\n#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/\nmirrorlist=https://x\n",
        ),
        ("etc/yum.repos.d/rocky-extras.repo", "[e]\nmirrorlist=https://x\nname=e\n"),
        ("etc/sysconfig/network-scripts/ifcfg-eth0", "x\n"),
        ("etc/sysconfig/network-scripts/ifcfg-lo", "x\n"),
        ("etc/network/interfaces", "auto eth0\n"),
        ("etc/network/interfaces.d/eth0", "x\n"),
        ("etc/network/interfaces.d/lo", "x\n"),
        ("etc/conf.d/net.eth0", "x\n"),
        ("etc/dpkg/dpkg.cfg.d/x", ""),
        ("etc/apt/apt.conf.d/x", ""),
        ("etc/apt/preferences.d/x", ""),
        ("etc/udev/rules.d/x", ""),
        ("etc/sysctl.d/x", ""),
        ("etc/sudoers", "Defaults env_reset\nDefaults secure_path=\"/sbin:/bin\"\nDefaults secure_path=/usr/bin\n"),
        ("etc/ssh/sshd_config", "# Ciphers and keying\nCiphers old\n#MACs x\n"),
        ("etc/ssh/ssh_host_rsa_key", "x"),
        ("etc/ssh/deep/ssh_host_key.pub", "x"),
        ("etc/yum.repos.d/dib-mirror-a.repo", "x"),
        ("etc/yum.repos.d/a.repo.USING_MIRROR", "[a]\n"),
        ("etc/yum.repos.d/b.repo.USING_MIRROR", "[b]\n"),
        (
            "etc/yum.repos.d/openEuler.repo",
            "baseurl=http://repo.openeuler.org/OS\nbaseurl=http://repo.openeuler.org/source/\n",
        ),
        ("etc/apt/sources.list.d/x", ""),
        ("tmp/svc-map-services", "a: b\n"),
        ("etc/portage/make.conf", ""),
        ("usr/local/bin/x", ""),
        ("var/lib/dbus/machine-id", "0123\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\n"),
    ];
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    fs::set_permissions(root.join("etc/machine-id"), fs::Permissions::from_mode(0o444)).unwrap();
    symlink("/dev/null", root.join("etc/udev/rules.d/80-net-name-slot.rules")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
}

/// Programs of distributions, of which nothing matters but how they are called.
const RECORDED: [&str; 8] = ["apt-get", "apt-key", "curl", "dnf", "dpkg-query", "python3", "visudo", "yum"];

/// Says in `/calls` how it was called, and what it read; prints what a hook waits for.
const RECORDER: &str = r#"#!/usr/bin/bash
set -eu
name=${0##*/}
echo "$name $*" >> /calls
case "$name ${1:-}" in
    "apt-key "*) cat >> /calls ;;
    "curl "*) printf 'a key\n\n' ;;
    "dnf repoquery") printf 'kernel-1\nkernel-2\n\n' ;;
    "dpkg-query "*) printf '{"package": "a","status": "ii "},{"package": "b","status": "ii "},' ;;
esac
"#;

/// Makes the tree one that commands run in: the tools where distributions have them, and programs that record their calls.
pub fn furnish(root: &Path) {
    for folder in ["usr/bin", "proc", "sys", "dev", "run"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for tool in TOOLS.into_iter().chain(["find", "ls", "mv", "readlink", "uname"]) {
        let path = approve("sh", &["-c", &format!("readlink -f /usr/bin/{tool}")]).trim().to_owned();
        fs::copy(&path, root.join("usr/bin").join(tool)).unwrap();
        let listed = approve("ldd", &[&path]);
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let at = root.join(&library[1..]);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::copy(library, at).unwrap();
        }
    }
    for name in RECORDED {
        let path = root.join("usr/bin").join(name);
        fs::write(&path, RECORDER).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Puts bash and its friends into the tree, with what they are linked to; returns what is to be taken away again.
pub fn add_tools(root: &Path) -> Vec<PathBuf> {
    let tools = root.join(".tools");
    fs::create_dir_all(tools.join("lib")).unwrap();
    let mut added = vec![tools.clone()];
    for tool in TOOLS {
        let path = approve("sh", &["-c", &format!("readlink -f /usr/bin/{tool}")]).trim().to_owned();
        fs::copy(&path, tools.join(tool)).unwrap();
        for line in approve("ldd", &[&path]).lines() {
            let mut words = line.split_whitespace();
            let (first, library) = (words.next().unwrap_or_default(), words.nth(1));
            if let Some(library) = library.filter(|library| library.starts_with('/')) {
                fs::copy(library, tools.join("lib").join(Path::new(library).file_name().unwrap())).unwrap();
            } else if let Some(loader) = first.strip_prefix('/') {
                // Programs name it by its path.
                let at = root.join(loader);
                if !at.exists() {
                    fs::create_dir_all(at.parent().unwrap()).unwrap();
                    fs::copy(first, &at).unwrap();
                    added.push(root.join(first.split('/').nth(1).unwrap()));
                }
            }
        }
    }
    fs::write(tools.join("sudo"), "#!/.tools/bash\nexec \"$@\"\n").unwrap();
    fs::set_permissions(tools.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    added
}

/// Runs a command inside the tree; as somebody else than root in a user namespace.
pub fn inside(root: &Path) -> Command {
    let chroot = ["/usr/sbin/chroot", root.to_str().unwrap()];
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new(chroot[0])
    } else {
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--map-root-user", chroot[0]]);
        command
    };
    command
        .arg(chroot[1])
        .env_clear()
        .env("PATH", "/.tools")
        .env("LD_LIBRARY_PATH", "/.tools/lib")
        .env("HOME", "/root");
    command
}

/// Everything in a tree: path, and kind with mode, owner and content.
pub fn content(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(root, root, &mut found);
    found
}

/// What is no text is told by its length.
fn text(content: &[u8]) -> String {
    str::from_utf8(content).map_or_else(|_| format!("{} bytes", content.len()), str::to_owned)
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = path.symlink_metadata().unwrap();
        let what = if data.is_symlink() {
            format!("-> {}", path.read_link().unwrap().display())
        } else {
            let text = if data.is_file() { text(&fs::read(&path).unwrap()) } else { "folder".into() };
            format!("{:o} {}:{} {text}", data.mode() & 0o7777, data.uid(), data.gid())
        };
        found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), what);
        if data.is_dir() {
            collect(root, &path, found);
        }
    }
}
