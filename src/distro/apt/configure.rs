//! Runs the packages' scripts inside the tree.
//!
//! In: a tree whose packages are unpacked and recorded. Out: configured packages. `preinst` scripts run in one shell, the rest
//! is one run of the tree's own dpkg for each stage, so that every trigger runs once. As long as a [`Quiet`] lives no service is
//! started. Not here: unpacking.

use camino::{Utf8Path, Utf8PathBuf};

use super::deb::Control;
use super::dpkg_database::info_name;
use super::index::Package;
use super::tree::Tree;
use crate::distro::DistroError;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::Command;

/// What dpkg is told: the newest configuration wins without questions, and a tree that dies is rebuilt, so nothing is synced.
pub const DPKG_OPTIONS: [&str; 3] = ["--force-confdef", "--force-confold", "--force-unsafe-io"];

/// Configured before all others: users, folders, then the rest by their dependencies.
const FIRST: [&str; 2] = ["base-passwd", "base-files"];

/// Runs `$4 install` for each line `PACKAGE ARCH SCRIPT` of `$1`. debconf looks whose script it is where dpkg unpacks the control
/// files of a package.
const PREINST: &str = r#"
unpacked=/var/lib/dpkg/tmp.ci
mkdir -p "$unpacked"
echo "$1" | while read -r DPKG_MAINTSCRIPT_PACKAGE DPKG_MAINTSCRIPT_ARCH script; do
    export DPKG_MAINTSCRIPT_PACKAGE DPKG_MAINTSCRIPT_ARCH
    echo "Package: $DPKG_MAINTSCRIPT_PACKAGE" >"$unpacked/control"
    "$script" install </dev/null || { echo "$script ended with status $?" >&2; exit 1; }
done
status=$?
rm -rf "$unpacked"
exit "$status"
"#;

/// What invoke-rc.d asks before it does anything.
const POLICY: &str = "usr/sbin/policy-rc.d";

/// A tree in which no service starts, until this is dropped.
#[derive(Debug)]
pub struct Quiet {
    root: Utf8PathBuf,
}

impl Quiet {
    /// Writes `/usr/sbin/policy-rc.d`, which forbids every action of invoke-rc.d, unless the image has its own.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn new(root: &Utf8Path) -> Result<Option<Self>, DistroError> {
        let make = || {
            let tree = Tree::open(root)?;
            if tree.has(POLICY) {
                return Ok(None);
            }
            tree.put(POLICY, b"#!/bin/sh\nexit 101\n", 0o755)?;
            Ok(Some(Self { root: root.to_owned() }))
        };
        make().map_err(|source| DistroError::File { action: "write", path: root.join(POLICY), source })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = Tree::open(&self.root).and_then(|tree| tree.remove(POLICY));
    }
}

/// A command inside the tree with the environment that maintainer scripts get.
pub fn command<S: Into<String>>(root: &Utf8Path, argv: impl IntoIterator<Item = S>) -> Command {
    Command::new(argv)
        .inside(&Chroot::new(root))
        // No locale at all: thousands of short programs start, and each would open the files of another one first.
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
        .env("DEBCONF_NOWARNINGS", "yes")
        // The kernel's postinst makes no initramfs: kiln makes it once, when everything that goes into it is there.
        .env("INITRD", "No")
}

/// Runs the `preinst` scripts of packages whose control files are in the database.
///
/// # Errors
/// When one fails; the message holds its last lines.
pub fn preinst(
    root: &Utf8Path,
    packages: &[(&Package, &Control)],
    dpkg: &str,
    events: &Events,
) -> Result<(), DistroError> {
    let mut lines = Vec::new();
    for (package, control) in packages {
        if control.files.contains_key("preinst") {
            let script = format!("/var/lib/dpkg/info/{}.preinst", info_name(control));
            lines.push(format!("{} {} {script}", package.name, package.architecture));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    lines.sort_by_key(|line| FIRST.iter().position(|first| line.starts_with(first)).unwrap_or(FIRST.len()));
    command(root, ["sh", "-c", PREINST, "preinst", &lines.join("\n")])
        .env("DPKG_MAINTSCRIPT_NAME", "preinst")
        .env("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1")
        .env("DPKG_MAINTSCRIPT_DEBUG", "0")
        .env("DPKG_ADMINDIR", "/var/lib/dpkg")
        .env("DPKG_ROOT", "")
        .env("DPKG_RUNNING_VERSION", dpkg)
        .check(events)
        .map(drop)
        .map_err(|source| DistroError::Command { attempt: "cannot prepare packages".into(), source })
}

/// Configures `packages`, given in the order of their dependencies.
///
/// # Errors
/// When dpkg fails; the message holds its last lines.
pub fn configure(root: &Utf8Path, packages: &[&Package], events: &Events) -> Result<(), DistroError> {
    if packages.is_empty() {
        return Ok(());
    }
    let mut names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    names.sort_by_key(|name| FIRST.iter().position(|first| name == first).unwrap_or(FIRST.len()));
    let argv = ["dpkg"].into_iter().chain(DPKG_OPTIONS).chain(["--configure"]).chain(names);
    command(root, argv)
        .check(events)
        .map(drop)
        .map_err(|source| DistroError::Command { attempt: "cannot configure packages".into(), source })
}
