//! What this machine's kernel can attach and mount.
//!
//! In: the name of a file system. Out: whether the kernel has a driver for it, and whether files can be shown as disks. Reads the
//! kernel's own lists only. Not here: what follows from it (`direct`, `loopback`).

use std::fs::OpenOptions;
use std::io::ErrorKind;

use camino::Utf8Path;

use crate::sandbox::loop_device::CONTROL;

/// Whether files can be attached as disks; else why not, and what to do.
pub(super) fn loop_devices() -> Result<(), String> {
    let opened = OpenOptions::new().read(true).write(true).open(CONTROL);
    opened.map(drop).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            format!("{CONTROL} is missing; load the kernel's module `loop`, or give the container the host's /dev")
        }
        ErrorKind::PermissionDenied => format!("{CONTROL} may not be opened; run kiln as root"),
        _ => format!("{CONTROL}: {error}; a container must be allowed to use it"),
    })
}

/// Whether the kernel can mount `kind`, now or when it has loaded a module.
pub(super) fn can_mount(kind: &str) -> bool {
    let (driver, _) = mount_by(kind);
    registered(&driver) || loadable(&driver)
}

/// The driver that mounts `kind`, and the options for a file system that is thrown away when the machine stops: no barriers, and
/// nothing written to tables that are empty.
pub(super) fn mount_by(kind: &str) -> (String, &'static str) {
    match kind {
        "ext2" | "ext3" if !registered(kind) => ("ext4".into(), "nobarrier,noinit_itable"),
        "ext3" | "ext4" => (kind.into(), "nobarrier,noinit_itable"),
        // Another build's file system may have the same identifier.
        "xfs" => (kind.into(), "nouuid"),
        "btrfs" => (kind.into(), "nobarrier"),
        _ => (kind.into(), ""),
    }
}

fn registered(driver: &str) -> bool {
    let list = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    list.lines().filter_map(|line| line.split('\t').nth(1)).any(|name| name == driver)
}

/// Whether the kernel would load it when it is first used.
fn loadable(driver: &str) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Utf8Path::new("/lib/modules").join(release.trim());
    let list = std::fs::read_to_string(modules.join("modules.dep")).unwrap_or_default();
    list.lines().filter_map(|line| line.split(':').next()).any(|path| path.contains(&format!("/{driver}.ko")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        assert!(registered("proc") && registered("tmpfs"));
        assert!(!registered("nodev") && !registered("kilnfs") && !loadable("kilnfs") && !can_mount("kilnfs"));
    }
}
