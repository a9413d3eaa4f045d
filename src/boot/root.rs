//! What the kernel is told about its root file system.

use super::root_hash;
use crate::disk::fstab;
use crate::disk::layout::Layout;

/// The arguments that let the initramfs find and mount the root: `root=…`, `rootflags=…` for a subvolume, `ro`; for a verified root
/// or `/usr` those of systemd-veritysetup-generator(8), with a stand-in for the hash.
pub(super) fn arguments(layout: &Layout) -> Vec<String> {
    let Some(mounted) = layout.mounts().into_iter().find(|mounted| mounted.point == "/") else { return Vec::new() };
    let mut words = vec![format!("root={}", fstab::source(layout, mounted.filesystem))];
    for verity in &layout.verity {
        let Some(name) = layout.verified_name(verity) else { continue };
        words.push(format!("{name}hash={}", root_hash::stand_in(verity)));
        for (part, device) in [("data", &verity.data), ("hash", &verity.hash)] {
            words.extend(fstab::device(layout, device).map(|place| format!("systemd.verity_{name}_{part}={place}")));
        }
    }
    if let Some(subvolume) = mounted.subvolume {
        words.push(format!("rootflags=subvol={}", subvolume.name));
    }
    words.push("ro".to_owned());
    words
}

#[cfg(test)]
mod tests {
    use super::super::platform::tests::{in_a_subvolume, layout, on_lvm, verified};
    use super::*;

    #[test]
    fn the_root_is_named_by_its_label_and_a_subvolume_by_its_path() {
        assert_eq!(arguments(&layout("mbr")), ["root=LABEL=cloudimg-rootfs", "ro"]);
        assert_eq!(arguments(&on_lvm()), ["root=LABEL=cloudimg-rootfs", "ro"]);
        assert_eq!(arguments(&in_a_subvolume()), ["root=LABEL=cloudimg-rootfs", "rootflags=subvol=@", "ro"]);
    }

    #[test]
    fn a_verified_root_comes_with_its_hash_and_both_devices() {
        let layout = verified();
        let words = arguments(&layout);
        let hash = root_hash::stand_in(&layout.verity[0]);
        assert_eq!(words[..2], ["root=/dev/mapper/root".to_owned(), format!("roothash={hash}")]);
        assert!(words[2].starts_with("systemd.verity_root_data=PARTUUID=00000000-"), "{words:?}");
        assert!(words[3].starts_with("systemd.verity_root_hash=PARTUUID=") && words[4] == "ro", "{words:?}");
    }
}
