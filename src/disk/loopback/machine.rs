//! What this machine can show to hooks.
//!
//! In: a layout. Out: whether its file systems can be shown to hooks. Not here: what the kernel says about itself (`driver`).

use camino::Utf8Path;

use crate::disk::direct::DiskError;
use crate::disk::driver;
use crate::disk::layout::{Device, Layout};

/// What device-mapper is reached by.
const MAPPER: &str = "/dev/mapper/control";

/// Refuses what cannot be attached and mounted on this machine, before anything slow.
///
/// # Errors
/// When there are no loop devices for this user, or the kernel cannot mount a file system of the layout.
pub fn check(layout: &Layout) -> Result<(), DiskError> {
    driver::loop_devices().map_err(|why| DiskError::NoLoop { why })?;
    let mounted = |filesystem: &&crate::disk::layout::FileSystem| {
        filesystem.mounts().any(|mounted| mounted.point.starts_with('/'))
    };
    for filesystem in layout.filesystems.iter().filter(mounted) {
        let node = filesystem.name.clone();
        let what = match &filesystem.device {
            Device::Disk { .. } | Device::Partition { .. } => None,
            Device::Volume { .. } => Some("a logical volume"),
            Device::Luks { .. } => Some("an encrypted container"),
        };
        let what = what.or(layout.verity_of(&filesystem.device).map(|_| "a verified device"));
        if let Some(what) = what {
            return Err(DiskError::NoMapper { node, what, why: mapper() });
        }
        if filesystem.is_read_only() && filesystem.mounts().any(|mounted| mounted.point == "/") {
            return Err(DiskError::ReadOnlyRoot { node, kind: filesystem.kind.clone() });
        }
        if !is_staged(&filesystem.kind) && !driver::can_mount(&filesystem.kind) {
            return Err(DiskError::NoDriver { node, kind: filesystem.kind.clone() });
        }
    }
    Ok(())
}

/// Why volumes and containers are not shown.
fn mapper() -> &'static str {
    if Utf8Path::new(MAPPER).exists() {
        "kiln does not activate it here, where it could be taken for the machine's own"
    } else {
        "this machine's kernel has no device-mapper (module dm_mod)"
    }
}

/// Whether file systems of `kind` are held in memory instead of being mounted.
pub(super) fn is_staged(kind: &str) -> bool {
    ["vfat", "fat", "msdos"].contains(&kind)
}
