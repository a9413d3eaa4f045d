//! What must hold between mounts: each point once, `none` for swap only, `/` somewhere.

use std::collections::HashMap;

use super::{Say, beginning};
use crate::disk::config::Config;
use crate::disk::yaml::Problem;

pub(super) fn check(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let filesystem = |name: &str| config.filesystems.iter().find(|filesystem| filesystem.name == name);
    for mount in &config.mounts {
        let filesystem = filesystem(&mount.base);
        let swap = filesystem.is_some_and(|filesystem| filesystem.kind.as_deref() == Some("swap"));
        if swap != (mount.mount_point == "none") {
            let text = match swap {
                true => {
                    format!("swap has no place in the tree: its mount point is `none`, not `{}`", mount.mount_point)
                }
                false => "`none` is the mount point of swap only; write a path".to_owned(),
            };
            return Err(problem("mount", &mount.name, text));
        }
        if let Some(other) = seen.insert(&mount.mount_point, &mount.name).filter(|_| !swap) {
            let point = &mount.mount_point;
            return Err(problem("mount", &mount.name, format!("`{point}` is already the mount point of `{other}`")));
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
