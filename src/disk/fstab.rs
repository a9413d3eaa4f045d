//! /etc/fstab.
//!
//! In: a solved layout. Out: the file's text, line for line as DIB writes it: `LABEL=`, mount point, type, options, dump
//! frequency, check order, in the order of mounting. Not here: writing it into the tree.

use super::layout::{Device, FileSystem, Layout, Mounted, Table};

/// The lines of the file systems that have an entry.
pub fn text(layout: &Layout) -> String {
    let line = |mounted: &Mounted<'_>| {
        let (filesystem, entry) = (mounted.filesystem, mounted.fstab?);
        if filesystem.label.is_empty() && matches!(filesystem.device, Device::Disk { .. }) {
            // Nothing names a squashfs that fills a disk; the root is mounted all the same.
            return None;
        }
        let (source, point, kind) = (source(layout, filesystem), escaped(mounted.point), &filesystem.kind);
        let options = match mounted.subvolume {
            Some(subvolume) => format!("{},subvol={}", entry.options, escaped(&subvolume.name)),
            None => entry.options.clone(),
        };
        Some(format!("{source} {point} {kind} {options} {} {}\n", entry.dump_freq, entry.fsck_passno))
    };
    layout.mounts().iter().filter_map(line).collect()
}

/// What fstab's first field says. A verified file system is its opened device: the label would find the unverified one.
/// Squashfs has neither label nor identifier, so it is its partition or volume.
pub fn source(layout: &Layout, filesystem: &FileSystem) -> String {
    if let Some(verity) = layout.verity_of(&filesystem.device) {
        return format!("/dev/mapper/{}", layout.verified_name(verity).unwrap_or(&verity.name));
    }
    let label = || format!("LABEL={}", escaped(&filesystem.label));
    if filesystem.kind != "squashfs" {
        return label();
    }
    device(layout, &filesystem.device).unwrap_or_else(label)
}

/// What `device` is called on every machine: its path in `/dev/mapper`, or `PARTUUID=`. `None` for a whole disk.
pub fn device(layout: &Layout, device: &Device) -> Option<String> {
    if let Some(path) = layout.mapper_path(device) {
        return Some(path);
    }
    let partition = layout.partition_of(device)?;
    match layout.disk_of(device)?.table? {
        Table::Mbr { disk_id, .. } => Some(format!("PARTUUID={disk_id:08x}-{:02x}", partition.number)),
        Table::Gpt { .. } => partition.guid.map(|guid| format!("PARTUUID={guid}")),
    }
}

/// fstab(5) writes white space in octal. DIB leaves it as it is, which no reader of the file understands.
fn escaped(field: &str) -> String {
    field.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011")
}

#[cfg(test)]
mod tests {
    use crate::disk::{config, solve};

    #[test]
    fn lines_are_in_mount_order_and_swap_is_last_and_fixed() {
        let yaml = "
- local_loop: { name: image0, size: 4GiB }
- partitioning:
    base: image0
    label: gpt
    partitions:
    - name: swap
      type: 8200
      size: 1GiB
      mkfs: { type: swap, mount: { mount_point: none, fstab: { options: ignored } } }
    - name: var log
      size: 1GiB
      mkfs: { type: ext4, name: v, label: var log, mount: { mount_point: /var, fstab: { dump-freq: 1 } } }
    - name: data
      size: 10MiB
      mkfs: { type: ext4, mount: { mount_point: /data } }
    - name: root
      size: 100%
      mkfs: { name: mkfs_root, mount: { mount_point: /, fstab: { options: 'noatime,discard', fsck-passno: 1 } } }
";
        let config = config::parse(yaml, "x").unwrap();
        let layout = solve::solve(&config, &solve::tests::parameters(), 0, "seed").unwrap();
        let expected = "LABEL=cloudimg-rootfs / ext4 noatime,discard 0 1\n\
                        LABEL=var\\040log /var ext4 defaults 1 2\n\
                        LABEL=mkfs_swap none swap sw 0 0\n";
        assert_eq!(super::text(&layout), expected);
    }
}
