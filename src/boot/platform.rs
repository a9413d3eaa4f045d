//! Which of GRUB's platforms a layout and an architecture ask for.
//!
//! In: the layout, the architecture, which platforms the image has modules for. Out: the platforms to install, or why none
//! can be. Touches no system.

use uuid::{Uuid, uuid};

use super::error::BootError;
use crate::disk::layout::{Device, Disk, FileSystem, Layout, PartitionKind, Table, lvm_identifier};

/// GPT type of a BIOS boot partition (`sgdisk` code EF02).
pub(super) const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");

/// Where the EFI system partition is mounted.
pub(super) const ESP: &str = "/boot/efi";

/// One of GRUB's platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// A PC's BIOS.
    Bios,
    /// UEFI on x86-64.
    EfiAmd64,
    /// UEFI on 32-bit x86.
    EfiI386,
    /// UEFI on 64-bit Arm.
    EfiArm64,
}

impl Platform {
    /// GRUB's name: that of its folder of modules, and of `grub-mkimage -O`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bios => "i386-pc",
            Self::EfiAmd64 => "x86_64-efi",
            Self::EfiI386 => "i386-efi",
            Self::EfiArm64 => "arm64-efi",
        }
    }

    /// Debian's package of its modules.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Bios => "grub-pc-bin",
            Self::EfiAmd64 => "grub-efi-amd64-bin",
            Self::EfiI386 => "grub-efi-ia32-bin",
            Self::EfiArm64 => "grub-efi-arm64-bin",
        }
    }

    /// Name of the program that firmware starts without being told (UEFI specification, 3.5.1.1); `None` for a BIOS.
    pub(super) fn removable(self) -> Option<&'static str> {
        match self {
            Self::Bios => None,
            Self::EfiAmd64 => Some("BOOTX64.EFI"),
            Self::EfiI386 => Some("BOOTIA32.EFI"),
            Self::EfiArm64 => Some("BOOTAA64.EFI"),
        }
    }
}

/// The file system that holds GRUB's folder, and the path of `/boot` on it: a subvolume's name is part of it.
///
/// # Errors
/// When there is none, or it is encrypted: GRUB would have to ask for the passphrase.
pub(super) fn boot_filesystem(layout: &Layout) -> Result<(&FileSystem, String), BootError> {
    let mounts = layout.mounts();
    let at = |point: &str| mounts.iter().find(|mounted| mounted.point == point).copied();
    let (mounted, below) = match at("/boot") {
        Some(boot) => (boot, ""),
        None => (at("/").ok_or(BootError::NoRoot)?, "/boot"),
    };
    if let Some(container) = encrypted(layout, &mounted.filesystem.device) {
        return Err(BootError::Encrypted { container: container.to_owned() });
    }
    let above = mounted.subvolume.map_or_else(String::new, |subvolume| format!("/{}", subvolume.name));
    Ok((mounted.filesystem, format!("{above}{below}")))
}

/// Refuses a root or `/usr` that only a root hash on the kernel's command line opens.
///
/// # Errors
/// When there is one.
pub(super) fn check_unverified(layout: &Layout) -> Result<(), BootError> {
    match layout.verity.iter().find_map(|verity| Some((verity, layout.verified_name(verity)?))) {
        None => Ok(()),
        Some((verity, name)) => {
            let mount_point = if name == "root" { "/" } else { "/usr" }.to_owned();
            Err(BootError::Verified { mount_point, node: verity.name.clone() })
        }
    }
}

/// The container that `device` lies in.
fn encrypted<'a>(layout: &'a Layout, device: &'a Device) -> Option<&'a str> {
    match device {
        Device::Luks { container } => Some(container),
        _ => layout.below(device).into_iter().find_map(|below| encrypted(layout, below)),
    }
}

/// GRUB's name of a logical volume, which needs no device to be known: by the identifiers of group and volume.
pub(super) fn grub_volume(layout: &Layout, device: &Device) -> Option<String> {
    let Device::Volume { group, volume } = device else { return None };
    let (group, volume) = layout.volume(group, volume)?;
    Some(format!("lvmid/{}/{}", lvm_identifier(group.uuid), lvm_identifier(volume.uuid)))
}

/// The platforms to install, at least one. `has` tells whether the image has a platform's modules.
pub(super) fn choose(
    layout: &Layout,
    disk: &Disk,
    arch: &str,
    has: impl Fn(Platform) -> bool,
) -> Result<Vec<Platform>, BootError> {
    let (efi, pc) = match arch {
        "amd64" | "x86_64" => (Platform::EfiAmd64, true),
        "i386" | "i686" => (Platform::EfiI386, true),
        "arm64" | "aarch64" => (Platform::EfiArm64, false),
        _ => return Err(BootError::UnknownArchitecture { arch: arch.to_owned() }),
    };
    let esp = layout.at(ESP).is_some();
    let place = if pc { bios_place(disk) } else { Err("this architecture boots from an EFI system partition only") };
    let mut platforms = Vec::new();
    match place {
        // A BIOS boot partition was asked for; a DOS table beside an EFI system partition merely allows it.
        Ok(asked) if asked || !esp || has(Platform::Bios) => platforms.push(Platform::Bios),
        Ok(_) => {}
        Err(reason) if !esp => {
            return Err(BootError::NoPlace { disk: disk.name.clone(), arch: arch.to_owned(), reason });
        }
        Err(_) => {}
    }
    if esp {
        platforms.push(efi);
    }
    match platforms.iter().find(|platform| !has(**platform)) {
        Some(missing) => Err(BootError::MissingPackage {
            path: format!("/usr/lib/grub/{}", missing.name()),
            package: missing.package().to_owned(),
        }),
        None => Ok(platforms),
    }
}

/// Whether the disk has a place for GRUB's core image that is there for nothing else; an error when it has none at all.
fn bios_place(disk: &Disk) -> Result<bool, &'static str> {
    // GRUB's BIOS code counts in sectors of 512 bytes.
    if disk.sector_size != 512 {
        return Err("a BIOS cannot boot from a disk with sectors of 4096 bytes");
    }
    match disk.table {
        None => Err("it has no partition table, and so no gap for GRUB's core image"),
        Some(Table::Mbr { .. }) => Ok(false),
        Some(Table::Gpt { .. }) if bios_boot_partition(disk).is_some() => Ok(true),
        Some(Table::Gpt { .. }) => Err("it has neither a BIOS boot partition nor a mounted EFI system partition"),
    }
}

/// The disk's BIOS boot partition.
pub(super) fn bios_boot_partition(disk: &Disk) -> Option<&crate::disk::layout::Partition> {
    disk.partitions.iter().find(|partition| partition.kind == PartitionKind::Gpt(BIOS_BOOT))
}

/// GRUB's name of a file system's partition: `msdos1`, `gpt3`. Of a volume it is that of the partition it lies in.
pub(super) fn grub_partition(layout: &Layout, filesystem: &FileSystem) -> Option<String> {
    let kind = match layout.disk_of(&filesystem.device)?.table? {
        Table::Mbr { .. } => "msdos",
        Table::Gpt { .. } => "gpt",
    };
    layout.partition_of(&filesystem.device).map(|partition| format!("{kind}{}", partition.number))
}

/// GRUB's module for a kind of file system.
pub(super) fn filesystem_module(kind: &str) -> &str {
    match kind {
        "ext2" | "ext3" | "ext4" => "ext2",
        "vfat" | "msdos" | "fat" => "fat",
        "squashfs" => "squash4",
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::disk::layout::{
        LogicalVolume, Luks, Partition, PhysicalVolume, Subvolume, Verity, VolumeGroup, VolumeKind,
    };

    const MIB: u64 = 1 << 20;
    const ESP_TYPE: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    const LINUX: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");

    fn filesystem(disk: &Disk, number: u32, kind: &str, mount_point: &str) -> FileSystem {
        let partition = &disk.partitions[number as usize - 1];
        FileSystem {
            name: format!("mkfs_{}", partition.name),
            device: Device::Partition { disk: disk.name.clone(), number },
            size: partition.size,
            kind: kind.into(),
            label: if kind == "vfat" { "ESP".into() } else { "cloudimg-rootfs".into() },
            uuid: uuid!("850c575b-ed61-43b5-b81a-6a543090ba3c"),
            options: Vec::new(),
            subvolumes: Vec::new(),
            mount_point: Some(mount_point.into()),
            fstab: None,
        }
    }

    fn partition(number: u32, name: &str, start: u64, size: u64, kind: PartitionKind) -> Partition {
        Partition {
            number,
            name: name.into(),
            label: name.into(),
            start,
            size,
            kind,
            boot: number == 1,
            guid: Some(Uuid::from_u128(7)),
            attributes: 0,
            hybrid: None,
        }
    }

    /// DIB's three layouts: `mbr`, `gpt`, `efi`.
    pub(in crate::boot) fn layout(name: &str) -> Layout {
        let gpt = Some(Table::Gpt { guid: Uuid::from_u128(1) });
        let (table, partitions) = match name {
            "mbr" => (
                Some(Table::Mbr { disk_id: 0x1234_abcd, dib_strict: false }),
                vec![partition(1, "root", MIB, 900 * MIB, PartitionKind::Mbr(0x83))],
            ),
            "gpt" => (
                gpt,
                vec![
                    partition(1, "BSP", MIB, 8 * MIB, PartitionKind::Gpt(BIOS_BOOT)),
                    partition(2, "root", 9 * MIB, 900 * MIB, PartitionKind::Gpt(LINUX)),
                ],
            ),
            _ => (
                gpt,
                vec![
                    partition(1, "ESP", MIB, 550 * MIB, PartitionKind::Gpt(ESP_TYPE)),
                    partition(2, "BSP", 551 * MIB, 8 * MIB, PartitionKind::Gpt(BIOS_BOOT)),
                    partition(3, "root", 559 * MIB, 900 * MIB, PartitionKind::Gpt(LINUX)),
                ],
            ),
        };
        let disk = Disk { name: "image0".into(), size: 1500 * MIB, sector_size: 512, table, partitions };
        let last = disk.partitions.len() as u32;
        let mut filesystems = vec![filesystem(&disk, last, "ext4", "/")];
        if name == "efi" {
            filesystems.push(filesystem(&disk, 1, "vfat", ESP));
        }
        Layout { disks: vec![disk], filesystems, ..Layout::default() }
    }

    fn chosen(layout: &Layout, arch: &str) -> Vec<&'static str> {
        choose(layout, &layout.disks[0], arch, |_| true).unwrap().into_iter().map(Platform::name).collect()
    }

    #[test]
    fn each_shipped_layout_boots_in_its_ways() {
        assert_eq!(chosen(&layout("mbr"), "amd64"), ["i386-pc"]);
        assert_eq!(chosen(&layout("gpt"), "amd64"), ["i386-pc"]);
        assert_eq!(chosen(&layout("efi"), "amd64"), ["i386-pc", "x86_64-efi"]);
        assert_eq!(chosen(&layout("efi"), "arm64"), ["arm64-efi"]);
        assert_eq!(chosen(&layout("efi"), "i386"), ["i386-pc", "i386-efi"]);
    }

    #[test]
    fn a_4k_disk_with_an_esp_boots_by_uefi_only() {
        let mut layout = layout("efi");
        layout.disks[0].sector_size = 4096;
        assert_eq!(chosen(&layout, "amd64"), ["x86_64-efi"]);
        layout.filesystems.pop();
        let error = choose(&layout, &layout.disks[0], "amd64", |_| true).unwrap_err();
        assert!(matches!(error, BootError::NoPlace { .. }), "{error}");
    }

    #[test]
    fn a_gpt_without_a_place_for_boot_code_is_an_error() {
        let mut layout = layout("gpt");
        layout.disks[0].partitions[0].kind = PartitionKind::Gpt(LINUX);
        let error = choose(&layout, &layout.disks[0], "amd64", |_| true).unwrap_err();
        assert!(matches!(error, BootError::NoPlace { .. }), "{error}");
    }

    #[test]
    fn a_disk_without_a_table_is_an_error() {
        let mut layout = layout("mbr");
        layout.disks[0].table = None;
        let error = choose(&layout, &layout.disks[0], "amd64", |_| true).unwrap_err();
        assert!(error.to_string().contains("no partition table"), "{error}");
    }

    #[test]
    fn missing_modules_are_an_error_that_names_the_package() {
        let layout = layout("efi");
        let error = choose(&layout, &layout.disks[0], "amd64", |platform| platform == Platform::Bios).unwrap_err();
        assert!(error.to_string().contains("grub-efi-amd64-bin"), "{error}");
        let error = choose(&layout, &layout.disks[0], "amd64", |platform| platform != Platform::Bios).unwrap_err();
        assert!(error.to_string().contains("grub-pc-bin"), "{error}");
    }

    #[test]
    fn a_dos_table_with_an_esp_may_lack_bios_modules() {
        let mut layout = layout("efi");
        layout.disks[0].table = Some(Table::Mbr { disk_id: 1, dib_strict: false });
        let platforms = choose(&layout, &layout.disks[0], "amd64", |platform| platform != Platform::Bios).unwrap();
        assert_eq!(platforms, [Platform::EfiAmd64]);
    }

    #[test]
    fn partitions_bear_grubs_names() {
        for (name, expected) in [("mbr", "msdos1"), ("gpt", "gpt2"), ("efi", "gpt3")] {
            let layout = layout(name);
            assert_eq!(grub_partition(&layout, layout.at("/").unwrap()).as_deref(), Some(expected));
        }
    }

    /// The `efi` layout with its root on a logical volume.
    pub(in crate::boot) fn on_lvm() -> Layout {
        let mut layout = layout("efi");
        let root = layout.filesystems.iter_mut().find(|filesystem| filesystem.kind == "ext4").unwrap();
        let device =
            std::mem::replace(&mut root.device, Device::Volume { group: "vg".into(), volume: "lv-root".into() });
        layout.volume_groups.push(VolumeGroup {
            name: "vg".into(),
            uuid: Uuid::from_u128(1),
            extent_size: 4 * MIB,
            physical_volumes: vec![PhysicalVolume {
                name: "pv".into(),
                device,
                uuid: Uuid::from_u128(3),
                size: 900 * MIB,
                data_start: MIB,
                extents: 200,
            }],
            volumes: vec![LogicalVolume {
                name: "lv-root".into(),
                uuid: Uuid::from_u128(2),
                size: 400 * MIB,
                kind: VolumeKind::Linear { segments: Vec::new() },
            }],
            spare: None,
        });
        layout
    }

    /// The `efi` layout with its root in a btrfs subvolume.
    pub(in crate::boot) fn in_a_subvolume() -> Layout {
        let mut layout = layout("efi");
        let root = layout.filesystems.iter_mut().find(|filesystem| filesystem.kind == "ext4").unwrap();
        root.kind = "btrfs".into();
        root.mount_point = None;
        let subvolume =
            |name: &str, point: &str| Subvolume { name: name.into(), mount_point: Some(point.into()), fstab: None };
        root.subvolumes = vec![subvolume("@", "/"), subvolume("@home", "/home")];
        layout
    }

    /// The `efi` layout with a verified root.
    pub(in crate::boot) fn verified() -> Layout {
        let mut layout = layout("efi");
        let data = layout.at("/").unwrap().device.clone();
        layout.verity.push(Verity {
            name: "checked".into(),
            hash: data.clone(),
            data,
            uuid: Uuid::from_u128(1),
            algorithm: "sha256".into(),
            salt: String::new(),
            data_block_size: 4096,
            hash_block_size: 4096,
            data_blocks: 1,
            hash_size: 4096,
        });
        layout
    }

    #[test]
    fn a_root_that_needs_a_root_hash_is_none_for_grub() {
        assert!(check_unverified(&layout("efi")).is_ok());
        let error = check_unverified(&verified()).unwrap_err().to_string();
        assert!(error.starts_with("the file system of / is verified by `checked`") && error.contains("uki"), "{error}");
    }

    #[test]
    fn a_volume_is_named_by_identifiers_and_a_subvolume_is_part_of_the_path() {
        let layout = on_lvm();
        let (boot, above) = boot_filesystem(&layout).unwrap();
        let name = grub_volume(&layout, &boot.device).unwrap();
        assert_eq!(name, "lvmid/000000-0000-0000-0000-0000-0000-000001/000000-0000-0000-0000-0000-0000-000002");
        assert_eq!(above, "/boot");
        assert_eq!(boot_filesystem(&in_a_subvolume()).unwrap().1, "/@/boot");
    }

    #[test]
    fn an_encrypted_boot_folder_is_refused_also_on_a_volume_in_the_container() {
        let mut layout = on_lvm();
        let device = layout.volume_groups[0].physical_volumes[0].device.clone();
        layout.volume_groups[0].physical_volumes[0].device = Device::Luks { container: "hidden".into() };
        layout.luks.push(Luks {
            name: "hidden".into(),
            device,
            uuid: Uuid::from_u128(4),
            label: String::new(),
            header: 16 * MIB,
            size: 800 * MIB,
            cipher: "aes-xts-plain64".into(),
            key_bits: 512,
            sector_size: 512,
            secret: "disk".into(),
        });
        let error = boot_filesystem(&layout).unwrap_err();
        assert!(error.to_string().contains("`hidden`"), "{error}");
    }
}
