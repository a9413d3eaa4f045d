//! What the kernel is told about its root file system.

use super::root_hash;
use crate::disk::fstab;
use crate::disk::layout::{Layout, Partition};

/// The arguments that let the initramfs find and mount the root: `root=…`, `rootflags=…` for a subvolume, `ro`; for a verified root
/// those of systemd-veritysetup-generator(8), with a stand-in for the hash.
pub(super) fn arguments(layout: &Layout) -> Vec<String> {
    let Some(mounted) = layout.mounts().into_iter().find(|mounted| mounted.point == "/") else { return Vec::new() };
    let mut words = vec![format!("root={}", fstab::source(layout, mounted.filesystem))];
    if let Some(verity) = layout.verity_of(&mounted.filesystem.device) {
        let device = |device| {
            let guid = layout.partition_of(device).and_then(|partition: &Partition| partition.guid);
            layout.mapper_path(device).or_else(|| guid.map(|guid| format!("PARTUUID={guid}")))
        };
        words.push(format!("roothash={}", root_hash::stand_in(verity)));
        for (name, place) in [("data", device(&verity.data)), ("hash", device(&verity.hash))] {
            words.extend(place.map(|place| format!("systemd.verity_root_{name}={place}")));
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
    use super::super::platform::tests::{in_a_subvolume, layout, on_lvm};
    use super::*;
    use crate::disk::layout::Verity;

    #[test]
    fn the_root_is_named_by_its_label_and_a_subvolume_by_its_path() {
        assert_eq!(arguments(&layout("mbr")), ["root=LABEL=cloudimg-rootfs", "ro"]);
        assert_eq!(arguments(&on_lvm()), ["root=LABEL=cloudimg-rootfs", "ro"]);
        assert_eq!(arguments(&in_a_subvolume()), ["root=LABEL=cloudimg-rootfs", "rootflags=subvol=@", "ro"]);
    }

    #[test]
    fn a_verified_root_comes_with_its_hash_and_both_devices() {
        let mut layout = layout("efi");
        let data = layout.at("/").unwrap().device.clone();
        layout.verity.push(Verity {
            name: "root".into(),
            hash: data.clone(),
            data,
            uuid: uuid::Uuid::from_u128(1),
            algorithm: "sha256".into(),
            salt: String::new(),
            data_block_size: 4096,
            hash_block_size: 4096,
            data_blocks: 1,
            hash_size: 4096,
        });
        let words = arguments(&layout);
        let hash = root_hash::stand_in(&layout.verity[0]);
        assert_eq!(words[..2], ["root=/dev/mapper/root".to_owned(), format!("roothash={hash}")]);
        assert!(words[2].starts_with("systemd.verity_root_data=PARTUUID=00000000-"), "{words:?}");
        assert!(words[3].starts_with("systemd.verity_root_hash=PARTUUID=") && words[4] == "ro", "{words:?}");
    }
}
