//! Real package managers, each in a small tree with this machine's programs and a repository made for the test.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::driver::{Driver, Words};
use super::{Context, dnf, pacman, zypper};
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::Command;
use crate::target::Packages;

fn run(words: &[&str]) {
    let output = Command::new(words.iter().copied()).quiet().run(&Events::none()).unwrap();
    assert_eq!(output.status, 0, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A tree whose programs are this machine's, and an empty folder for a repository in it.
fn tree(folder: &tempfile::TempDir) -> (Utf8PathBuf, Chroot) {
    let root = Utf8Path::from_path(folder.path()).unwrap().join("root");
    for path in ["usr", "etc", "var/lib", "var/cache", "tmp", "proc", "sys", "dev", "run", "root", "opt", "repository"]
    {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    let chroot = Chroot::new(&root).with_bind("/usr".into(), "/usr".into(), true);
    (root, chroot)
}

/// The manager installs, reports, misses, updates and removes.
fn works(words: &'static Words, root: &Utf8Path, chroot: &Chroot) {
    let driver = installs(words, root, chroot);
    driver.install(&["hello".to_owned()]).unwrap();
    driver.repositories_changed();
    driver.update().unwrap();
    driver.remove(&["hello".to_owned(), "no-such-thing".to_owned()]).unwrap();
    assert!(!root.join("opt/hello/file").exists());
    assert_eq!(driver.version("hello").unwrap(), None);
}

/// The manager installs, reports and misses.
fn installs(words: &'static Words, root: &Utf8Path, chroot: &Chroot) -> Driver {
    let driver = Driver::new(words, &Context::default(), chroot, Events::none());
    assert_eq!(driver.version("hello").unwrap(), None, "{}", words.name);
    let missing = driver.install(&["no-such-thing".to_owned()]).unwrap_err();
    assert_eq!(missing.code, "packages.missing", "{}", missing.message);
    assert!(missing.message.contains("no-such-thing"), "{}", missing.message);
    driver.install(&["hello".to_owned()]).unwrap();
    assert_eq!(fs::read_to_string(root.join("opt/hello/file")).unwrap(), "hello\n");
    assert_eq!(driver.version("hello").unwrap().as_deref(), Some("1.0-1"));
    driver
}

/// This machine has all of them, and may bind its folders.
fn has(programs: &[&str]) -> bool {
    let there = |program: &&str| Utf8Path::new("/usr/bin").join(program).exists();
    nix::unistd::geteuid().is_root() && programs.iter().all(there)
}

/// A repository of one rpm.
fn rpm_repository(folder: &Utf8Path, repository: &Utf8Path) {
    let spec = folder.join("hello.spec");
    let text = "Name: hello\nVersion: 1.0\nRelease: 1\nSummary: s\nLicense: x\nBuildArch: noarch\n%description\ns\n%install\n\
                mkdir -p %{buildroot}/opt/hello\necho hello >%{buildroot}/opt/hello/file\n%files\n/opt/hello\n";
    fs::write(&spec, text).unwrap();
    run(&["rpmbuild", "--quiet", "--define", &format!("_topdir {folder}/build"), "-bb", spec.as_str()]);
    fs::copy(folder.join("build/RPMS/noarch/hello-1.0-1.noarch.rpm"), repository.join("hello.rpm")).unwrap();
    run(&["createrepo_c", "--quiet", repository.as_str()]);
}

#[test]
fn dnf_installs_and_removes_in_a_real_tree() {
    if !has(&["dnf", "rpmbuild", "createrepo_c"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, chroot) = tree(&folder);
    rpm_repository(Utf8Path::from_path(folder.path()).unwrap(), &root.join("repository"));
    fs::create_dir_all(root.join("etc/yum.repos.d")).unwrap();
    let text = "[local]\nname=local\nbaseurl=file:///repository\nenabled=1\ngpgcheck=0\n";
    fs::write(root.join("etc/yum.repos.d/local.repo"), text).unwrap();
    works(&dnf::WORDS, &root, &chroot);
}

/// Debian's rpmdb2solv cannot read Debian's rpm database, so its zypper installs into an empty tree and nothing after that.
#[test]
fn zypper_installs_in_a_real_tree() {
    if !has(&["zypper", "rpmbuild", "createrepo_c"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, chroot) = tree(&folder);
    rpm_repository(Utf8Path::from_path(folder.path()).unwrap(), &root.join("repository"));
    fs::create_dir_all(root.join("etc/zypp/repos.d")).unwrap();
    let text = "[local]\nname=local\nbaseurl=file:///repository\nenabled=1\ngpgcheck=0\nautorefresh=1\ntype=rpm-md\n";
    fs::write(root.join("etc/zypp/repos.d/local.repo"), text).unwrap();
    installs(&zypper::WORDS, &root, &chroot);
}

#[test]
fn pacman_installs_and_removes_in_a_real_tree() {
    if !has(&["pacman", "repo-add", "bsdtar"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, chroot) = tree(&folder);
    let work = Utf8Path::from_path(folder.path()).unwrap().join("package");
    fs::create_dir_all(work.join("opt/hello")).unwrap();
    fs::write(work.join("opt/hello/file"), "hello\n").unwrap();
    let text = "pkgname = hello\npkgbase = hello\npkgver = 1.0-1\npkgdesc = s\narch = any\nsize = 6\n";
    fs::write(work.join(".PKGINFO"), text).unwrap();
    let package = root.join("repository/hello-1.0-1-any.pkg.tar.gz");
    run(&["tar", "-C", work.as_str(), "-czf", package.as_str(), ".PKGINFO", "opt"]);
    run(&["repo-add", "--quiet", root.join("repository/here.db.tar.gz").as_str(), package.as_str()]);
    fs::create_dir_all(root.join("var/lib/pacman")).unwrap();
    let text = "[options]\nArchitecture = auto\nSigLevel = Never\n[here]\nServer = file:///repository\n";
    fs::write(root.join("etc/pacman.conf"), text).unwrap();
    works(&pacman::WORDS, &root, &chroot);
}

#[test]
fn the_manager_of_a_tree_is_told_by_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("sbin")).unwrap();
    assert_eq!(super::found(root), None);
    for (program, manager) in
        [("sbin/apk", "apk"), ("usr/bin/microdnf", "dnf"), ("usr/bin/zypper", "zypper"), ("usr/bin/apt-get", "apt")]
    {
        fs::write(root.join(program), "").unwrap();
        assert_eq!(super::found(root), Some(manager));
    }
}
