//! A hook of upstream and its draft change a tree in the same way: the hook is run by bash, the draft on the real target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use kiln::element::{Element, HookKind};
use kiln::event::Events;
use kiln::plan::PlannedElement;
use kiln::port::port;
use kiln::script::run::{Call, run};
use kiln::target::tree::Tree;
use kiln::target::{Facts, Packages, TargetError};

use super::tree;
use crate::support::{Sandbox, stderr, upstream_elements};

/// An image without a package manager.
struct NoPackages;

impl Packages for NoPackages {
    fn install(&self, _: &[String]) -> Result<(), TargetError> {
        Err(TargetError::new("packages.missing", "there are none"))
    }

    fn remove(&self, _: &[String]) -> Result<(), TargetError> {
        Err(TargetError::new("packages.missing", "there are none"))
    }

    fn update(&self) -> Result<(), TargetError> {
        Err(TargetError::new("packages.missing", "there are none"))
    }

    fn version(&self, _: &str) -> Result<Option<String>, TargetError> {
        Ok(None)
    }
}

/// The tree after the shell hook; a hook outside the image runs on the host, on the tree only.
fn by_shell(element: &Path, hook: &str, root: &Path, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let outside = hook.starts_with("root.d/") || hook.starts_with("extra-data.d/") || hook.starts_with("cleanup.d/");
    let added = tree::add_tools(root);
    let mut command = if outside {
        let mut command = Command::new(element.join(hook));
        let path = format!("{}:{}", root.join(".sudo").display(), std::env::var("PATH").unwrap());
        fs::create_dir(root.join(".sudo")).unwrap();
        fs::write(root.join(".sudo/sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
        fs::set_permissions(root.join(".sudo/sudo"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        command.env_clear().env("PATH", path).env("TARGET_ROOT", root).env("TMP_MOUNT_PATH", root);
        command
    } else {
        // Hooks find the files of their element beside themselves.
        let place = root.join("tmp/in_target.d");
        let copied = Command::new("cp").args(["-r"]).arg(element).arg(&place).status().unwrap();
        assert!(copied.success());
        let mut command = tree::inside(root);
        command.args(["/.tools/bash", &format!("/tmp/in_target.d/{hook}")]);
        command
    };
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{hook}: {}", stderr(&output));
    for path in added.into_iter().chain([root.join("tmp/in_target.d"), root.join(".sudo")]) {
        let _ = fs::remove_dir_all(path);
    }
    tree::content(root)
}

/// The tree after the draft.
fn by_draft(draft: &Utf8Path, hook: &str, root: &Utf8Path, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let name = draft.file_name().unwrap();
    let element = Element::load(name, draft).unwrap();
    let file = draft.join(format!("{hook}.rhai"));
    let wanted = |kind: &HookKind| matches!(kind, HookKind::Script { file: at, .. } if *at == file);
    let found = element.hooks.iter().find(|hook| wanted(&hook.kind)).unwrap_or_else(|| panic!("{hook} stays in shell"));
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    let call = Call {
        element: PlannedElement {
            name: name.into(),
            directory: draft.to_owned(),
            permissions: element.permissions.clone(),
            options: BTreeMap::new(),
        },
        file: file.clone(),
        function: found.phase.function(),
        facts: Facts {
            distribution: variable("DISTRO_NAME").into(),
            release: variable("DIB_RELEASE").into(),
            arch: variable("ARCH").into(),
            image_name: variable("IMAGE_NAME").rsplit('/').next().unwrap().into(),
            variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..Facts::default()
        },
    };
    let target = Tree::new(root, Arc::new(NoPackages), Events::none()).unwrap();
    run(&call, Arc::new(target), &Events::none()).unwrap_or_else(|error| panic!("{hook}: {}", error.render(false)));
    tree::content(root.as_std_path())
}

#[track_caller]
fn equal(element: &str, hook: &str, variables: &[(&str, &str)]) {
    compare(element, hook, variables, false);
}

/// As [`equal`], in trees in which commands run.
#[track_caller]
fn equal_with_tools(element: &str, hook: &str, variables: &[(&str, &str)]) {
    compare(element, hook, variables, true);
}

#[track_caller]
fn compare(element: &str, hook: &str, variables: &[(&str, &str)], with_tools: bool) {
    let sandbox = Sandbox::new();
    let upstream = upstream_elements().join(element);
    let draft = Utf8PathBuf::from_path_buf(sandbox.path().join(element)).unwrap();
    port(element, Utf8Path::from_path(&upstream).unwrap(), &draft).unwrap();
    let (shell, rhai) = (sandbox.path().join("shell"), sandbox.path().join("rhai"));
    tree::make(&shell);
    tree::make(&rhai);
    if with_tools {
        tree::furnish(&shell);
        tree::furnish(&rhai);
    }
    let before = tree::content(&rhai);
    let expected = by_shell(&upstream, hook, &shell, variables);
    let found = by_draft(&draft, hook, Utf8Path::from_path(&rhai).unwrap(), variables);
    assert_ne!(expected, before, "{element}/{hook} changes nothing: the tree must have what it looks for");
    let paths: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differ = paths.into_iter().filter(|path| expected.get(*path) != found.get(*path));
    let differ: Vec<_> = differ.map(|path| (path, expected.get(path), found.get(path))).collect();
    assert_eq!(differ, [], "{element}/{hook}: by the shell hook, and by the draft");
}

#[test]
fn drafts_that_write_files_do_as_their_shell_hooks() {
    equal("journal-to-console", "post-install.d/30-journal-to-console", &[]);
    equal("ubuntu-common", "install.d/80-disable-rfc3041", &[]);
    equal("dpkg", "pre-install.d/00-disable-apt-recommends", &[]);
    equal("selinux-permissive", "pre-install.d/11-selinux-permissive", &[]);
    equal("base", "install.d/10-cloud-init", &[("DIB_CLOUD_INIT_ETC_HOSTS", "localhost")]);
    equal(
        "cloud-init-datasources",
        "install.d/05-set-cloud-init-sources",
        &[("DIB_CLOUD_INIT_DATASOURCES", "Ec2, NoCloud")],
    );
    equal("cloud-init-nocloud", "install.d/05-inject-local-source-data", &[]);
    equal("sysprep", "finalise.d/99-clear-machine-id", &[]);
    equal("modprobe-blacklist", "install.d/80-modprobe-blacklist", &[("DIB_MODPROBE_BLACKLIST", "a  b")]);
    equal(
        "rpm-distro",
        "pre-install.d/01-override-yum-arch",
        &[("ARCH", "amd64"), ("DISTRO_NAME", "centos"), ("YUM", "dnf"), ("x", "")],
    );
}

#[test]
fn drafts_that_edit_files_do_as_their_shell_hooks() {
    equal("disable-selinux", "post-install.d/15-disable-selinux", &[]);
    equal("yum", "post-install.d/99-reset-yum-conf", &[("YUM", "dnf")]);
    equal("yum", "pre-install.d/00-01-yum-keepcache", &[("YUM", "yum")]);
    equal("zipl", "pre-install.d/kernel_config", &[]);
    equal("zypper", "install.d/01-login-defs", &[("DIB_RELEASE", "15.6")]);
    equal("cloud-init", "post-install.d/22-cloud-init-ssh_genkeytypes", &[]);
    let mirror = [("DIB_DISTRIBUTION_MIRROR", "https://mirror.example/a$b"), ("DIB_RELEASE", "9")];
    equal("rocky-container", "pre-install.d/00-set-rocky-mirror", &mirror);
}

#[test]
fn drafts_that_move_files_about_do_as_their_shell_hooks() {
    let system = [("DISTRO_NAME", "debian"), ("DIB_RELEASE", "bookworm")];
    equal("simple-init", "install.d/60-simple-init-remove-interfaces", &system);
    equal("stable-interface-names", "install.d/02-stable-interface-names", &[]);
    equal("debootstrap", "install.d/15-cleanup-debootstrap", &[]);
    equal("mellanox", "install.d/65-mellanox", &[]);
    equal("nm-dhcp-ib-interfaces", "install.d/50-dhcp-ib-interfaces", &[]);
    equal("dib-init-system", "pre-install.d/04-dib-init-system", &[("DIB_INIT_SYSTEM", "systemd")]);
}

#[test]
fn drafts_of_hooks_outside_the_image_do_as_their_shell_hooks() {
    equal("dpkg", "root.d/50-trim-dpkg", &[]);
    equal("debian-upstart", "root.d/05-debian-upstart", &[]);
}

#[test]
fn drafts_that_go_over_files_do_as_their_shell_hooks() {
    let system = [("PATH", "/usr/bin"), ("DISTRO_NAME", "debian"), ("DIB_RELEASE", "bookworm")];
    equal_with_tools("dhcp-all-interfaces", "install.d/60-remove-cloud-image-interfaces", &system);
    equal("openssh-server", "post-install.d/99-harden-sshd-config", &[]);
    // A variable behind the beginning of a here-document.
    equal("debian-systemd", "root.d/05-debian-systemd", &[]);
}

#[test]
fn drafts_that_run_tools_do_as_their_shell_hooks() {
    // Where a distribution has them.
    let path = ("PATH", "/usr/bin");
    equal_with_tools("cloud-init-disable-resizefs", "post-install.d/50-cloud-init-disable-resizefs", &[path]);
    equal_with_tools("rpm-distro", "pre-install.d/00-usr-local-bin-secure-path", &[path]);
    let mirror = [path, ("DIB_DISTRIBUTION_MIRROR", "https://mirror.example/x")];
    equal_with_tools("openeuler-minimal", "pre-install.d/00-setup-mirror", &mirror);
    let manifest = [path, ("DIB_MANIFEST_IMAGE_DIR", "/etc"), ("IMAGE_NAME", "/out/image")];
    equal_with_tools("dpkg", "finalise.d/99-write-dpkg-manifest", &manifest);
    let kernels = [path, ("YUM", "dnf"), ("DIB_DISABLE_KERNEL_CLEANUP", "0")];
    equal_with_tools("redhat-common", "finalise.d/01-clean-old-kernels", &kernels);
    let modules = [path, ("YUM", "dnf"), ("DIB_DNF_MODULE_STREAMS", "nodejs:18 perl:5/common")];
    equal_with_tools("yum", "pre-install.d/01-module-configuration", &modules);
    equal_with_tools("hpdsa", "pre-install.d/06-hpdsa", &[path, ("DIB_RELEASE", "jammy")]);
    let python = [path, ("DISTRO_NAME", "ubuntu"), ("DIB_PYTHON_VERSION", "3")];
    equal_with_tools("dib-python", "pre-install.d/01-dib-python", &python);
}

#[test]
fn drafts_that_run_tools_from_outside_do_as_their_shell_hooks() {
    equal_with_tools("svc-map", "extra-data.d/11-copy-svc-map-file", &[]);
    equal_with_tools("runtime-ssh-host-keys", "cleanup.d/90-remove-ssh-host-keys", &[]);
    equal_with_tools("yum-minimal", "cleanup.d/95-remove-yum-mirror", &[("DIB_YUM_MINIMAL_BOOTSTRAP_REPOS", "x")]);
    equal_with_tools("docker", "extra-data.d/01-docker-minimal", &[]);
}
