//! What is written, and what the machine needs for it.
//!
//! In: a layout. Out: what cannot be written at all (pure), which programs are needed, and what this machine's versions of them and
//! its kernel cannot do. All of it is asked before anything slow.

use super::way::Way;
use super::{DiskError, btrfs, read_only, space, xfs};
use crate::disk::layout::{FileSystem, Layout, VolumeKind};

/// The file systems that this version can write, for messages.
const SUPPORTED: &str = "ext2, ext3, ext4, xfs, btrfs, vfat, swap, squashfs, erofs";

/// The only cipher that is written, for messages.
const CIPHER: &str = "aes-xts-plain64";

/// Refuses what cannot be written, before anything slow.
///
/// # Errors
/// When a file system's type is not one this version writes, or something lies where it cannot.
pub fn check(layout: &Layout) -> Result<(), DiskError> {
    let containers = layout.luks.iter().map(|luks| (&luks.name, &luks.device));
    let physical = layout.volume_groups.iter().flat_map(|group| &group.physical_volumes);
    let physical = physical.map(|volume| (&volume.name, &volume.device));
    let verified = layout.verity.iter().flat_map(|verity| [(&verity.name, &verity.data), (&verity.name, &verity.hash)]);
    // What is no file system is written straight into its place, so it needs one, in one piece.
    for (node, device) in containers.chain(physical).chain(verified) {
        match space::locate(layout, device).as_deref() {
            Some([_]) => {}
            None => {
                let what = "what lies on a thin volume and is no file system";
                return Err(DiskError::UnsupportedDevice { node: node.clone(), what, instead: "use linear volumes" });
            }
            Some(_) => {
                let what = "what lies on a volume in several pieces and is no file system";
                let instead = "make the volume so that it fits on one physical volume";
                return Err(DiskError::UnsupportedDevice { node: node.clone(), what, instead });
            }
        }
    }
    let wrong = |luks: &&crate::disk::layout::Luks| luks.cipher != CIPHER || ![256, 512].contains(&luks.key_bits);
    if let Some(luks) = layout.luks.iter().find(wrong) {
        let why = format!(
            "{} with a key of {} bits cannot be written; use {CIPHER} with 256 or 512",
            luks.cipher, luks.key_bits
        );
        return Err(DiskError::Shape { node: luks.name.clone(), why });
    }
    for filesystem in &layout.filesystems {
        kind(filesystem)?;
    }
    Ok(())
}

fn kind(filesystem: &FileSystem) -> Result<(), DiskError> {
    let FileSystem { name, kind, .. } = filesystem;
    if !SUPPORTED.split(", ").any(|known| known == kind) && kind != "fat" {
        return Err(DiskError::Unsupported { node: name.clone(), kind: kind.clone(), supported: SUPPORTED });
    }
    if kind != "btrfs" && !filesystem.subvolumes.is_empty() {
        let why = format!("{kind} has no subvolumes; use btrfs, or take them away");
        return Err(DiskError::Shape { node: name.clone(), why });
    }
    Ok(())
}

/// The programs that writing `layout` needs, each with the Debian package that has it.
pub fn host_tools(layout: &Layout) -> Vec<(&'static str, &'static str)> {
    let mut tools: Vec<(&str, &str)> = Vec::new();
    for filesystem in &layout.filesystems {
        let needed: &[(&str, &str)] = match filesystem.kind.as_str() {
            "ext2" | "ext3" | "ext4" => &[("mke2fs", "e2fsprogs")],
            "xfs" => &[("mkfs.xfs", "xfsprogs")],
            "btrfs" => &[("mkfs.btrfs", "btrfs-progs")],
            "squashfs" => &[("mksquashfs", "squashfs-tools")],
            "erofs" => &[("mkfs.erofs", "erofs-utils")],
            _ => &[],
        };
        tools.extend(needed);
    }
    let pool = |volume: &crate::disk::layout::LogicalVolume| matches!(volume.kind, VolumeKind::ThinPool { .. });
    if layout.volume_groups.iter().any(|group| group.volumes.iter().any(pool)) {
        tools.push(("thin_restore", "thin-provisioning-tools"));
    }
    tools.sort_unstable();
    tools.dedup();
    tools
}

/// How the file systems of `layout` that a tool or a kernel may be too old for are written on this machine: node and text.
///
/// # Errors
/// When this machine cannot write one, with the version that could.
pub fn ways(layout: &Layout) -> Result<Vec<(String, String)>, DiskError> {
    let mut ways = Vec::new();
    for filesystem in &layout.filesystems {
        let way = match filesystem.kind.as_str() {
            "xfs" => xfs::way(),
            "btrfs" => btrfs::way(filesystem),
            "erofs" => match read_only::too_old() {
                Some(why) => return Err(DiskError::Shape { node: filesystem.name.clone(), why }),
                None => continue,
            },
            _ => continue,
        };
        way.check(&filesystem.name)?;
        if way != Way::Tool {
            ways.push((filesystem.name.clone(), way.to_string()));
        }
    }
    Ok(ways)
}
