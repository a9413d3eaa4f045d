//! The descriptions that tests of the whole room use: every shipped one, and one for each thing the language can say.

use super::config::{self, Config};
use super::layout::Layout;
use super::{size, solve};

/// A description, and the size of its image.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    pub name: &'static str,
    pub yaml: &'static str,
    pub size: &'static str,
}

impl Example {
    pub fn config(&self) -> Config {
        config::parse(self.yaml, self.name).unwrap()
    }

    pub fn bytes(&self) -> u64 {
        size::absolute(self.size).unwrap()
    }

    pub fn layout(&self) -> Layout {
        solve::solve(&self.config(), &solve::tests::parameters(), self.bytes(), "seed").unwrap()
    }
}

/// The example called `name`.
pub fn named(name: &str) -> Example {
    *EXAMPLES.iter().find(|example| example.name == name).unwrap()
}

pub const EXAMPLES: [Example; 27] = [
    Example { name: "whole-disk", yaml: config::DEFAULT, size: "1GiB" },
    Example {
        name: "mbr",
        yaml: include_str!("../../elements/block-device-mbr/block-device-default.yaml"),
        size: "2GiB",
    },
    Example {
        name: "gpt",
        yaml: include_str!("../../elements/block-device-gpt/block-device-default.yaml"),
        size: "2GiB",
    },
    Example {
        name: "efi",
        yaml: include_str!("../../elements/block-device-efi/block-device-default.yaml"),
        size: "2147549184",
    },
    Example {
        name: "efi-4k",
        yaml: include_str!("../../elements/block-device-efi-4k/block-device-default.yaml"),
        size: "2GiB",
    },
    Example {
        name: "efi-lvm",
        yaml: include_str!("../../elements/block-device-efi-lvm/block-device-default.yaml"),
        size: "42GiB",
    },
    Example {
        name: "mbr-ppc64el",
        yaml: include_str!("../../elements/block-device-mbr/block-device-ppc64el.yaml"),
        size: "2GiB",
    },
    Example {
        name: "gpt-ppc64el",
        yaml: include_str!("../../elements/block-device-gpt/block-device-ppc64el.yaml"),
        size: "2GiB",
    },
    Example { name: "mbr-logical", yaml: include_str!("testdata/layouts/mbr-logical.yaml"), size: "8000000000" },
    Example { name: "mbr-align", yaml: include_str!("testdata/layouts/mbr-align.yaml"), size: "1GiB" },
    Example {
        name: "mbr-four-primary",
        yaml: include_str!("testdata/layouts/mbr-four-primary.yaml"),
        size: "1073742336",
    },
    Example { name: "mbr-4k", yaml: include_str!("testdata/layouts/mbr-4k.yaml"), size: "4GiB" },
    Example { name: "gpt-shares", yaml: include_str!("testdata/layouts/gpt-shares.yaml"), size: "10GiB" },
    Example { name: "gpt-graph", yaml: include_str!("testdata/layouts/gpt-graph.yaml"), size: "1GiB" },
    Example { name: "two-disks", yaml: include_str!("testdata/layouts/two-disks.yaml"), size: "2GiB" },
    Example { name: "lvm-two-disks", yaml: include_str!("testdata/layouts/lvm-two-disks.yaml"), size: "3GiB" },
    Example { name: "lvm-thin", yaml: include_str!("testdata/layouts/lvm-thin.yaml"), size: "8GiB" },
    Example { name: "luks", yaml: include_str!("testdata/layouts/luks.yaml"), size: "4GiB" },
    Example { name: "lvm-on-luks", yaml: include_str!("testdata/layouts/lvm-on-luks.yaml"), size: "4GiB" },
    Example { name: "luks-on-lvm", yaml: include_str!("testdata/layouts/luks-on-lvm.yaml"), size: "4GiB" },
    Example { name: "btrfs-subvolumes", yaml: include_str!("testdata/layouts/btrfs-subvolumes.yaml"), size: "4GiB" },
    Example { name: "verity", yaml: include_str!("testdata/layouts/verity.yaml"), size: "4GiB" },
    Example { name: "erofs-on-lvm", yaml: include_str!("testdata/layouts/erofs-on-lvm.yaml"), size: "4GiB" },
    Example { name: "squashfs-mbr", yaml: include_str!("testdata/layouts/squashfs-mbr.yaml"), size: "2GiB" },
    Example { name: "flexible-gpt", yaml: include_str!("testdata/layouts/flexible-gpt.yaml"), size: "10GiB" },
    Example { name: "flexible-mbr", yaml: include_str!("testdata/layouts/flexible-mbr.yaml"), size: "8GiB" },
    Example { name: "hybrid", yaml: include_str!("testdata/layouts/hybrid.yaml"), size: "4GiB" },
];
