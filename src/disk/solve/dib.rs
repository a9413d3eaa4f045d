//! What diskimage-builder 3.43.0's own block-device code made of the examples whose words it knows: the partitions that it wrote to
//! real loop devices (as sfdisk reads them), its fstab, and its answers to `getval`.

use crate::disk::examples::{self, Example};
use crate::disk::layout::VolumeKind;
use crate::disk::{config, fstab, solve};

/// A disk, and its partitions: number, first sector, sectors.
type Disk = (&'static str, &'static [(u32, u64, u64)]);

struct Figures {
    example: &'static str,
    disks: &'static [Disk],
    fstab: &'static str,
    /// root-label, root-fstype, boot-label, mount-points.
    values: [&'static str; 4],
}

const FIGURES: [Figures; 15] = [
    Figures {
        example: "mbr",
        disks: &[("image0", &[(1, 2048, 4190208)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "gpt",
        disks: &[("image0", &[(1, 2048, 16384), (2, 18432, 4173824)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "efi",
        disks: &[("image0", &[(1, 2048, 1126400), (2, 1128448, 16384), (3, 1144832, 3047424)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n\
                LABEL=MKFS_ESP /boot/efi vfat defaults 0 2\n",
        values: ["cloudimg-rootfs", "ext4", "", "/boot/efi|/"],
    },
    Figures {
        example: "mbr-ppc64el",
        disks: &[("image0", &[(1, 2048, 16384), (2, 18432, 4173824)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "gpt-ppc64el",
        disks: &[("image0", &[(1, 2048, 16384), (2, 18432, 4173824)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "whole-disk",
        disks: &[("image0", &[])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "mbr-logical",
        disks: &[(
            "image0",
            &[
                (1, 2048, 409600),
                (2, 411648, 6084521),
                (3, 6496256, 9128744),
                (5, 6498304, 3011809),
                (6, 9512960, 241126),
                (7, 9756672, 5868328),
            ],
        )],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n\
                LABEL=mkfs_boot /boot ext2 defaults 0 2\n\
                LABEL=mkfs_var /var ext4 noatime 0 2\n\
                LABEL=logs /var/log ext4 defaults 1 3\n\
                LABEL=mkfs_swap none swap sw 0 0\n",
        values: ["cloudimg-rootfs", "ext4", "mkfs_boot", "/boot|/|/var|none|/var/log"],
    },
    Figures {
        example: "mbr-align",
        disks: &[("image0", &[(1, 8192, 2411), (2, 16384, 2080768), (5, 24576, 19531), (6, 57344, 2039808)])],
        fstab: "",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "mbr-four-primary",
        disks: &[("image0", &[(1, 2048, 209305), (2, 212992, 188211), (3, 401408, 128), (4, 403456, 845824)])],
        fstab: "",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "gpt-shares",
        disks: &[(
            "image0",
            &[
                (1, 2048, 194560),
                (2, 196608, 2928640),
                (3, 3125248, 5885952),
                (4, 9011200, 1492992),
                (5, 10504192, 10459136),
            ],
        )],
        fstab: "",
        values: ["cloudimg-rootfs", "ext4", "", "/"],
    },
    Figures {
        example: "gpt-graph",
        disks: &[(
            "image0",
            &[
                (1, 2048, 532480),
                (2, 534528, 8388608),
                (3, 8923136, 3072000),
                (4, 11995136, 4487168),
                (5, 16482304, 4487168),
            ],
        )],
        fstab: "LABEL=cloudimg-rootfs / ext4 noatime,errors=remount-ro 0 1\n\
                LABEL=var /var ext4 defaults 0 2\n\
                LABEL=area none swap sw 0 0\n",
        values: ["cloudimg-rootfs", "ext4", "", "none|/var|/|/var/log"],
    },
    Figures {
        example: "two-disks",
        disks: &[("data", &[(1, 2048, 5855232)]), ("image0", &[(1, 2048, 4190208)])],
        fstab: "LABEL=mkfs_srv /srv xfs nodev 0 0\n",
        values: ["cloudimg-rootfs", "ext4", "", "/|/srv"],
    },
    Figures {
        example: "lvm-two-disks",
        disks: &[("image0", &[(1, 2048, 16384), (2, 18432, 6270976)]), ("more", &[])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n\
                LABEL=data /srv xfs defaults 0 2\n\
                LABEL=swap none swap sw 0 0\n",
        values: ["cloudimg-rootfs", "ext4", "", "/|none|/srv"],
    },
    Figures {
        example: "efi-4k",
        disks: &[("image0", &[(1, 256, 128000), (2, 128256, 2048), (3, 130304, 393728)])],
        fstab: "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n\
                LABEL=MKFS_ESP /boot/efi vfat defaults 0 2\n",
        values: ["cloudimg-rootfs", "ext4", "", "/boot/efi|/"],
    },
    Figures {
        example: "efi-lvm",
        disks: &[("image0", &[(1, 2048, 1126400), (2, 1128448, 16384), (3, 1144832, 78123008)])],
        fstab: "LABEL=img-rootfs / xfs rw,relatime 0 1\n\
                LABEL=MKFS_ESP /boot/efi vfat defaults 0 2\n\
                LABEL=fs_home /home xfs rw,nodev,relatime 0 2\n\
                LABEL=fs_var /var xfs rw,relatime 0 2\n",
        values: ["img-rootfs", "xfs", "", "/boot/efi|/|/var|/home"],
    },
];

#[test]
fn partitions_are_where_dib_puts_them_and_fstab_is_the_same() {
    for Figures { example, disks, fstab, .. } in &FIGURES {
        let layout = examples::named(example).layout();
        assert_eq!(layout.disks.len(), disks.len(), "{example}");
        for (name, expected) in *disks {
            let disk = layout.disk(name).unwrap();
            let sector = u64::from(disk.sector_size);
            let found: Vec<_> =
                disk.partitions.iter().map(|part| (part.number, part.start / sector, part.size / sector)).collect();
            assert_eq!(found, *expected, "{example} {name}");
        }
        assert_eq!(fstab::text(&layout), *fstab, "{example}");
    }
}

#[test]
fn values_are_what_dib_answers() {
    for Figures { example, values, .. } in &FIGURES {
        let Example { yaml, .. } = examples::named(example);
        let (config, parameters) = (config::parse(yaml, "x").unwrap(), super::tests::parameters());
        let points: Vec<_> = config.points().collect();
        let found = [
            solve::root_label(&config, &parameters),
            solve::root_fs_type(&config, &parameters).to_owned(),
            config.boot_label().to_owned(),
            points.join("|"),
        ];
        assert_eq!(found, *values, "{example}");
    }
}

/// The extents that LVM 2.03.16 gives the volumes of these groups when its own commands make them, run in the description's order:
/// physical volume, first extent, extents.
#[test]
fn volumes_have_the_extents_that_lvm_gives_them() {
    type Volume = (&'static str, &'static [(&'static str, u64, u64)]);
    let expected: [(&str, &[Volume]); 2] = [
        (
            "efi-lvm",
            &[("lv_root", &[("pv", 0, 2193)]), ("lv_var", &[("pv", 2193, 5435)]), ("lv_home", &[("pv", 7628, 1907)])],
        ),
        (
            "lvm-two-disks",
            &[
                ("lv_root", &[("pv0", 0, 625)]),
                ("lv-swap", &[("pv0", 625, 100)]),
                ("lv_data", &[("pv1", 0, 511), ("pv0", 725, 40)]),
            ],
        ),
    ];
    for (example, volumes) in expected {
        let layout = examples::named(example).layout();
        for (name, segments) in volumes {
            let (_, volume) = layout.volume("vg", name).unwrap();
            let VolumeKind::Linear { segments: found } = &volume.kind else { panic!("{name} is not linear") };
            let found: Vec<_> =
                found.iter().map(|part| (part.physical_volume.as_str(), part.first, part.count)).collect();
            assert_eq!(found, *segments, "{example} {name}");
        }
    }
}
