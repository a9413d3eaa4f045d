//! /etc/veritytab: the verified file systems that the running system opens, which are all but `/` and `/usr`.
//!
//! In: a solved layout, the root hashes that are known. Out: the file's text (veritytab(5)): one line a device. Not here: writing it
//! into the tree; `/` and `/usr`, which the kernel's command line names (`boot/`).

use std::collections::BTreeMap;

use super::fstab;
use super::layout::{Layout, Verity};

/// Whether the running system opens `verity` by its line in this file.
pub fn names(layout: &Layout, verity: &Verity) -> bool {
    let is_mounted = layout.filesystems.iter().any(|filesystem| filesystem.device == verity.data);
    is_mounted && layout.verified_name(verity).is_none()
}

/// The lines of the devices with a hash in `hashes`; empty when there are none.
pub fn text(layout: &Layout, hashes: &BTreeMap<String, String>) -> String {
    let line = |verity: &&Verity| {
        let (data, tree) = (fstab::device(layout, &verity.data)?, fstab::device(layout, &verity.hash)?);
        Some(format!("{} {data} {tree} {}\n", verity.name, hashes.get(&verity.name)?))
    };
    layout.verity.iter().filter(|verity| names(layout, verity)).filter_map(|verity| line(&verity)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::examples;

    #[test]
    fn a_line_names_both_partitions_and_the_hash_and_the_root_has_none() {
        let mut layout = examples::named("verity").layout();
        let hashes = BTreeMap::from([("root-verity".to_owned(), "ab".repeat(32))]);
        assert_eq!(text(&layout, &hashes), "");
        let root = layout.filesystems.iter_mut().find(|filesystem| filesystem.kind == "squashfs").unwrap();
        root.mount_point = Some("/srv".to_owned());
        let [_, data, tree, _] = &layout.disks[0].partitions[..] else { panic!() };
        let (data, tree) = (data.guid.unwrap(), tree.guid.unwrap());
        let line = format!("root-verity PARTUUID={data} PARTUUID={tree} {}\n", "ab".repeat(32));
        assert_eq!(text(&layout, &hashes), line);
        assert_eq!(text(&layout, &BTreeMap::new()), "");
    }
}
