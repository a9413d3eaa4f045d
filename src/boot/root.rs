//! What the kernel is told about its root file system.

use crate::disk::layout::Layout;

/// The arguments that let the initramfs find and mount the root: `root=…`, `rootflags=…` for a subvolume, `ro`.
pub(super) fn arguments(layout: &Layout) -> Vec<String> {
    let Some(mounted) = layout.mounts().into_iter().find(|mounted| mounted.point == "/") else { return Vec::new() };
    let mut words = vec![format!("root={}", device(layout))];
    if let Some(subvolume) = mounted.subvolume {
        words.push(format!("rootflags=subvol={}", subvolume.name));
    }
    words.push("ro".to_owned());
    words
}

/// The root as fstab names it.
fn device(layout: &Layout) -> String {
    layout.at("/").map_or_else(String::new, |root| crate::disk::fstab::source(layout, root))
}
