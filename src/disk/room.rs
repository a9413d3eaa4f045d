//! How large an image must be for what is in each of its file systems.
//!
//! In: a description, the finished tree, the size that DIB's rule gives the tree as a whole. Out: that size, or a larger one when a
//! file system, or the pool of thin volumes that it lies in, would not hold its content at it: DIB's rule knows nothing of partitions
//! beside the root. Not here: that rule (`image_size`).

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::config::Config;
use super::direct::inside;
use super::image_size::{UsageError, usage_without};
use super::layout::{Device, FileSystem, Layout, LogicalVolume, VolumeKind};
use super::solve::solve;
use crate::plan::DiskParameters;

const MIB: u64 = 1 << 20;
/// File systems for any description that can be solved at all.
const AMPLE: u64 = 1 << 40;
/// Of a file system, what content may take of it, in per cent: the rest is its own, as inodes.
const TIGHT: u64 = 85;
/// The same where room is made: DIB's measure.
const EASY: u64 = 60;
/// Where nothing is yet, there shall be room for something, if it can be written to.
const FLOOR: u64 = 64 * MIB;

/// The smallest size from `size` on, in bytes, at which every file system has room for its part of `tree`; `size` itself when there is
/// none, for whoever solves it to say why.
///
/// # Errors
/// When a folder of the tree cannot be read.
pub fn for_content(
    config: &Config,
    parameters: &DiskParameters,
    tree: &Utf8Path,
    size: u64,
) -> Result<u64, UsageError> {
    let Ok(ample) = solve(config, parameters, AMPLE, "") else { return Ok(size) };
    let used =
        ample.filesystems.iter().map(|filesystem| used(&ample, filesystem, tree)).collect::<Result<Vec<_>, _>>()?;
    let fits = |size: u64, share: u64| {
        let Ok(layout) = solve(config, parameters, size, "") else { return false };
        let mut in_pools: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for ((filesystem, largest), used) in layout.filesystems.iter().zip(&ample.filesystems).zip(&used) {
            let floor = if filesystem.is_read_only() { 0 } else { FLOOR };
            let wanted = needed(filesystem, *used, share, parameters).max(floor);
            // What the description itself makes smaller stays so.
            if filesystem.size < wanted.min(largest.size) {
                return false;
            }
            if let Some(pool) = pool(&layout, &filesystem.device) {
                *in_pools.entry(pool).or_default() += wanted;
            }
        }
        // Thin volumes promise more than there is: their pool must hold what they hold.
        in_pools.iter().all(|((group, pool), wanted)| {
            let size = |layout: &Layout| layout.volume(group, pool).map_or(0, |(_, pool)| pool.size);
            size(&layout) >= size(&ample).min(*wanted)
        })
    };
    if fits(size, TIGHT) {
        return Ok(size);
    }
    let (mut low, mut high) = (size / MIB, (size / MIB).max(1) * 2);
    while !fits(high * MIB, EASY) {
        if high * MIB >= AMPLE {
            return Ok(size);
        }
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle * MIB, EASY) { high = middle } else { low = middle }
    }
    Ok(high * MIB)
}

/// Bytes of the tree that are in `filesystem`.
fn used(layout: &Layout, filesystem: &FileSystem, tree: &Utf8Path) -> Result<u64, UsageError> {
    let mut kib = 0;
    for own in filesystem.mounts().map(|mounted| mounted.point).filter(|point| point.starts_with('/')) {
        let mounts = layout.mounts();
        let below = mounts.iter().map(|mounted| mounted.point).filter(|point| {
            let rest = Utf8Path::new(point).strip_prefix(own);
            rest.is_ok_and(|rest| !rest.as_str().is_empty())
        });
        let folder = inside(tree, own);
        if folder.is_dir() {
            kib += usage_without(&folder, &below.map(|point| inside(tree, point)).collect::<Vec<_>>())?;
        }
    }
    Ok(kib * 1024)
}

/// The group and the thin pool that what lies on `device` takes its blocks from.
fn pool<'a>(layout: &'a Layout, device: &'a Device) -> Option<(&'a str, &'a str)> {
    if let Device::Volume { group, volume } = device
        && let Some((_, LogicalVolume { kind: VolumeKind::Thin { pool, .. }, .. })) = layout.volume(group, volume)
    {
        return Some((group, pool));
    }
    layout.below(device).into_iter().find_map(|below| pool(layout, below))
}

/// Bytes of a file system that holds `used` bytes in `share` per cent of it, beside what is its own.
fn needed(filesystem: &FileSystem, used: u64, share: u64, parameters: &DiskParameters) -> u64 {
    let own = match filesystem.kind.as_str() {
        // Packed, and nothing else.
        "squashfs" | "erofs" => return used,
        // The journal of the root has its size of the build.
        "ext4" if filesystem.mount_point.as_deref() == Some("/") => parameters.journal_size,
        // Metadata twice, and the log.
        "btrfs" | "xfs" => 128 * MIB,
        _ => 0,
    };
    used * 100 / share + own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::examples;
    use crate::disk::image_size;
    use crate::disk::solve::tests::parameters;

    /// The size for 40 MiB at /, and as much at /var: by DIB's rule, and by this one.
    fn sizes(config: &Config) -> (u64, u64, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let tree = Utf8Path::from_path(folder.path()).unwrap();
        for name in ["usr", "var"] {
            std::fs::create_dir(tree.join(name)).unwrap();
            std::fs::write(tree.join(name).join("content"), vec![1; 40 << 20]).unwrap();
        }
        let parameters = parameters();
        let whole = image_size::image_size(&parameters, image_size::usage(tree).unwrap());
        let size = for_content(config, &parameters, tree, whole).unwrap();
        (whole, size, solve(config, &parameters, size, "").unwrap())
    }

    fn example(name: &str) -> (u64, u64, Layout) {
        sizes(&examples::named(name).config())
    }

    #[test]
    fn a_root_alone_has_the_size_that_dib_gives_it() {
        for name in ["whole-disk", "mbr", "gpt"] {
            let (whole, size, _) = example(name);
            assert_eq!(size, whole, "{name}");
        }
    }

    #[test]
    fn other_partitions_come_on_top() {
        let (whole, size, layout) = example("efi");
        let root = layout.at("/").unwrap().size;
        assert!(size > whole && (190..=210).contains(&(root / MIB)), "{size} {root}");
        // The disk of this one has a size of its own, for what is not /var.
        let (_, _, layout) = example("mbr-logical");
        let [root, var] = ["/", "/var"].map(|point| layout.at(point).unwrap().size / MIB);
        assert!(root >= 130 && var >= 66, "{root} {var}");
    }

    #[test]
    fn a_packed_file_system_needs_no_more_than_its_content() {
        let (_, _, layout) = example("verity");
        let var = layout.at("/var").unwrap().size / MIB;
        assert!((66..=70).contains(&var), "{var}");
    }

    #[test]
    fn a_pool_holds_what_its_volumes_hold() {
        let (whole, size, layout) = example("lvm-thin");
        let (_, pool) = layout.volume("vg", "pool").unwrap();
        // The root's 80 MiB by 0.6 with its journal, and /home with nothing.
        let pool = pool.size / MIB;
        assert!(size > whole && (261..=272).contains(&pool), "{} {pool}", size / MIB);
    }

    #[test]
    fn what_is_empty_has_some_room_and_what_is_small_on_purpose_stays_so() {
        let yaml = "
- local_loop: { name: image0 }
- partitioning:
    base: image0
    label: gpt
    partitions:
    - { name: boot, size: 16MiB, mkfs: { type: ext4, mount: { mount_point: /boot } } }
    - { name: root, size: 70%, mkfs: { name: mkfs_root, mount: { mount_point: / } } }
    - { name: home, size: 100%, mkfs: { type: ext4, mount: { mount_point: /home } } }
";
        let (whole, size, layout) = sizes(&crate::disk::config::parse(yaml, "test").unwrap());
        let [boot, root, home] = ["/boot", "/", "/home"].map(|point| layout.at(point).unwrap().size / MIB);
        assert_eq!(boot, 16);
        assert!(size > whole && root >= 197 && (64..=90).contains(&home), "{root} {home}");
    }
}
