//! Gives every file system its place, type, label, identifier and options.

use std::collections::HashMap;

use super::devices::Devices;
use super::error::LayoutError;
use super::identity::Identity;
use crate::disk::config::{self, Config, Mkfs, ROOT};
use crate::disk::layout::{Device, FileSystem, FstabEntry, Layout};
use crate::plan::DiskParameters;

const MIB: u64 = 1 << 20;

/// Label of the file system mounted at `/` (DIB's `root-label`).
pub fn root_label(config: &Config, parameters: &DiskParameters) -> String {
    config.filesystem_at("/").map_or_else(String::new, |root| label(root, kind(root, parameters), parameters))
}

/// Type of the file system mounted at `/` (DIB's `root-fstype`).
pub fn root_fs_type<'a>(config: &'a Config, parameters: &'a DiskParameters) -> &'a str {
    config.filesystem_at("/").map_or("", |root| kind(root, parameters))
}

pub(super) fn place(
    config: &Config,
    parameters: &DiskParameters,
    devices: &Devices,
    layout: &Layout,
    identity: &Identity,
) -> Result<Vec<FileSystem>, LayoutError> {
    let mut filesystems = Vec::new();
    let mut labels: HashMap<String, String> = HashMap::new();
    for node in &config.filesystems {
        let filesystem = filesystem(config, parameters, devices, layout, identity, node)?;
        let (label, node) = (filesystem.label.clone(), node.name.clone());
        if let Some(other) = labels.insert(label.clone(), node.clone()).filter(|_| !label.is_empty()) {
            return Err(LayoutError::SameLabel { node, label, other });
        }
        filesystems.push(filesystem);
    }
    // Bytewise, as DIB: parents before children, swap's `none` after every path. Those without a mount point come last.
    let order = |filesystem: &FileSystem| {
        let first = filesystem.mounts().map(|mounted| mounted.point.to_owned()).min();
        (first.is_none(), first, filesystem.name.clone())
    };
    filesystems.sort_by_cached_key(order);
    Ok(filesystems)
}

/// What must hold for file systems in their places: those that are verified are mounted read-only, and each can be named.
pub(super) fn check(layout: &Layout) -> Result<(), LayoutError> {
    for filesystem in &layout.filesystems {
        let node = || filesystem.name.clone();
        let verified = layout.verity_of(&filesystem.device).is_some();
        if verified && filesystem.kind == "swap" {
            return Err(LayoutError::VerifiedSwap { node: node() });
        }
        for fstab in filesystem.mounts().filter_map(|mounted| mounted.fstab) {
            let read_only = filesystem.is_read_only() || fstab.options.split(',').any(|word| word == "ro");
            if verified && !read_only {
                return Err(LayoutError::VerifiedWritable { node: node() });
            }
            let nameless = filesystem.label.is_empty() && matches!(filesystem.device, Device::Disk { .. });
            // The kernel is told where its root is.
            if nameless && filesystem.mount_point.as_deref() != Some("/") {
                return Err(LayoutError::Nameless { node: node(), kind: filesystem.kind.clone() });
            }
        }
    }
    Ok(())
}

fn filesystem(
    config: &Config,
    parameters: &DiskParameters,
    devices: &Devices,
    layout: &Layout,
    identity: &Identity,
    node: &Mkfs,
) -> Result<FileSystem, LayoutError> {
    let kind = kind(node, parameters).to_owned();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if node.kind.is_none() && (kind.is_empty() || kind == "swap" || !kind.bytes().all(plain)) {
        return Err(LayoutError::NotARootType { node: node.name.clone(), kind });
    }
    let label = config::check_label(&kind, &label(node, &kind, parameters))
        .map_err(|source| LayoutError::Label { node: node.name.clone(), source })?;
    if kind != "btrfs" && !node.subvolumes.is_empty() {
        return Err(LayoutError::NoSubvolumes { node: node.name.clone(), kind });
    }
    let device = devices.need(&node.name, &node.base)?.clone();
    let size = layout.size_of(&device).unwrap_or_default();
    let needed = smallest(&kind);
    if size < needed {
        let (node, base) = (node.name.clone(), node.base.clone());
        return Err(LayoutError::FileSystemTooSmall { node, kind, base, size, needed });
    }
    let mount = config.mounts.iter().find(|mount| mount.base == node.name);
    let fstab = mount.and_then(|mount| config.fstab.iter().find(|fstab| fstab.base == mount.name));
    let fstab = fstab.map(|fstab| match kind.as_str() {
        "swap" => FstabEntry { options: "sw".into(), dump_freq: 0, fsck_passno: 0 },
        _ => fstab.entry.clone(),
    });
    Ok(FileSystem {
        name: node.name.clone(),
        device,
        size,
        label,
        uuid: node.uuid.unwrap_or_else(|| identity.uuid("filesystem", &node.name)),
        options: options(node, &kind, size, parameters),
        kind,
        subvolumes: node.subvolumes.clone(),
        mount_point: mount.map(|mount| mount.mount_point.clone()),
        fstab,
    })
}

fn kind<'a>(node: &'a Mkfs, parameters: &'a DiskParameters) -> &'a str {
    node.kind.as_deref().unwrap_or(&parameters.root_fs_type)
}

fn label(node: &Mkfs, kind: &str, parameters: &DiskParameters) -> String {
    match (&node.label, &parameters.root_label) {
        (Some(label), _) => label.clone(),
        (None, _) if kind == "squashfs" => String::new(),
        (None, Some(label)) if node.name == ROOT => label.clone(),
        (None, None) if node.name == ROOT && kind == "xfs" => "img-rootfs".into(),
        (None, None) if node.name == ROOT => "cloudimg-rootfs".into(),
        (None, _) => node.name.clone(),
    }
}

/// Bytes below which the mkfs of a type makes none: what mkfs.xfs 6.1, mkfs.btrfs 6.2 and the kernel say.
fn smallest(kind: &str) -> u64 {
    match kind {
        // Of e2fsprogs 1.47 and dosfstools 4.2.
        "ext2" | "ext3" | "ext4" => 104 * 1024,
        "vfat" | "fat" => 60 * 1024,
        "xfs" => 300 * MIB,
        "btrfs" => 114_294_784,
        "swap" => 40 * 1024,
        _ => 0,
    }
}

/// The words for its mkfs: the node's own; for the root else DIB's for ext4, and the request's.
fn options(node: &Mkfs, kind: &str, size: u64, parameters: &DiskParameters) -> Vec<String> {
    if let Some(options) = &node.options {
        return options.clone();
    }
    let mut options = Vec::new();
    if node.name == ROOT {
        if kind == "ext4" {
            let journal = journal_mib(size, parameters.journal_size);
            options.extend(["-i".into(), "4096".into(), "-J".into(), format!("size={journal}")]);
        }
        options.extend(parameters.mkfs_options.iter().cloned());
        if let Some(resize) = parameters.max_online_resize.filter(|_| kind == "ext4") {
            options.extend(["-E".into(), format!("resize={resize}")]);
        }
    }
    options
}

/// A journal may not fill a small file system: mke2fs refuses more than about half, an eighth leaves room for files.
fn journal_mib(size: u64, wanted: u64) -> u64 {
    wanted.min(size / 8).div_ceil(MIB).max(1)
}
