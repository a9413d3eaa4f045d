//! What this machine's kernel can attach and mount.
//!
//! In: a layout. Out: whether its file systems can be shown to hooks, and how. Reads the kernel's own lists only.

use std::fs::OpenOptions;
use std::io::ErrorKind;

use camino::Utf8Path;

use crate::disk::direct::{self, DiskError};
use crate::disk::layout::Layout;
use crate::sandbox::loop_device::CONTROL;

/// Refuses what cannot be attached and mounted on this machine, before anything slow.
///
/// # Errors
/// When there are no loop devices for this user, or the kernel cannot mount a file system of the layout.
pub fn check(layout: &Layout) -> Result<(), DiskError> {
    OpenOptions::new().read(true).write(true).open(CONTROL).map_err(|error| DiskError::NoLoop {
        why: match error.kind() {
            ErrorKind::NotFound => {
                format!("{CONTROL} is missing; load the kernel's module `loop`, or give the container the host's /dev")
            }
            ErrorKind::PermissionDenied => format!("{CONTROL} may not be opened; run kiln as root"),
            _ => format!("{CONTROL}: {error}; a container must be allowed to use it"),
        },
    })?;
    for filesystem in layout.filesystems.iter().filter(|filesystem| direct::path(filesystem).is_some()) {
        let (driver, _) = driver(&filesystem.kind);
        if !is_staged(&filesystem.kind) && !registered(&driver) && !loadable(&driver) {
            return Err(DiskError::NoDriver { node: filesystem.name.clone(), kind: filesystem.kind.clone() });
        }
    }
    Ok(())
}

/// Whether file systems of `kind` are held in memory instead of being mounted.
pub(super) fn is_staged(kind: &str) -> bool {
    ["vfat", "fat", "msdos"].contains(&kind)
}

/// The driver that mounts `kind`, and the options for a file system that is thrown away when the machine stops: no barriers, and
/// nothing written to tables that are empty.
pub(super) fn driver(kind: &str) -> (String, &'static str) {
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
        assert!(!registered("nodev") && !registered("kilnfs") && !loadable("kilnfs"));
    }
}
