//! What must hold between mounts: each point once, `none` for swap only, a verified file system read-only, `/` somewhere.

use std::collections::HashMap;

use super::{Say, beginning};
use crate::disk::config::{Config, Mkfs};
use crate::disk::yaml::Problem;

pub(super) fn check(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let filesystem = |name: &str| config.filesystems.iter().find(|filesystem| filesystem.name == name);
    for mount in &config.mounts {
        let filesystem = filesystem(&mount.base);
        let swap = filesystem.is_some_and(|filesystem| filesystem.kind.as_deref() == Some("swap"));
        if swap != (mount.mount_point == "none") {
            let text = "the mount point `none` is for swap, and swap has no other";
            return Err(problem("mount", &mount.name, text.into()));
        }
        if let Some(other) = seen.insert(&mount.mount_point, &mount.name).filter(|_| !swap) {
            let point = &mount.mount_point;
            return Err(problem("mount", &mount.name, format!("`{point}` is already the mount point of `{other}`")));
        }
        let entry = config.fstab.iter().find(|fstab| fstab.base == mount.name);
        if let (Some(filesystem), Some(fstab)) = (filesystem, entry)
            && is_verified(config, filesystem)
            && !is_read_only(filesystem, &fstab.entry.options)
        {
            let text = "its file system is verified, and so read-only: add `ro` to `options`, or use squashfs or erofs";
            return Err(problem("fstab", &fstab.name, text.into()));
        }
    }
    for filesystem in &config.filesystems {
        for subvolume in &filesystem.subvolumes {
            let Some(point) = &subvolume.mount_point else { continue };
            if let Some(other) = seen.insert(point, &filesystem.name) {
                let name = &subvolume.name;
                let text = format!("subvolume `{name}`: `{point}` is already the mount point of `{other}`");
                return Err(problem("mkfs", &filesystem.name, text));
            }
        }
    }
    if !seen.contains_key("/") {
        let text = "no file system is mounted at `/`; add a mount node with `mount_point: /`";
        return Err((text.into(), beginning()));
    }
    Ok(())
}

fn is_verified(config: &Config, filesystem: &Mkfs) -> bool {
    config.verity.iter().any(|verity| verity.base == filesystem.base)
}

fn is_read_only(filesystem: &Mkfs, options: &str) -> bool {
    matches!(filesystem.kind.as_deref(), Some("squashfs" | "erofs")) || options.split(',').any(|word| word == "ro")
}
