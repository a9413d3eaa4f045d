//! Sizes of LUKS containers and of trees of hashes.
//!
//! LUKS2 as cryptsetup makes it: two headers of 16 KiB, key slots up to 16 MiB, then the content (LUKS2 On-Disk Format
//! Specification, 2). dm-verity as veritysetup makes it: a super block in a block of its own, then the tree from its top.

use super::devices::Devices;
use super::error::LayoutError;
use super::identity::Identity;
use crate::disk::config;
use crate::disk::layout::{Device, Layout, Luks, Verity};

/// Bytes before the content of a container.
const HEADER: u64 = 16 << 20;
/// Bytes per block of a verified device and of its tree: a page, which every kernel can.
const BLOCK: u32 = 4096;

pub(super) fn luks(
    node: &config::Luks,
    device: &Device,
    layout: &Layout,
    identity: &Identity,
) -> Result<Luks, LayoutError> {
    let whole = layout.size_of(device).unwrap_or_default();
    let sector_size = node.sector_size.or_else(|| layout.disk_of(device).map(|disk| disk.sector_size)).unwrap_or(512);
    let sector = u64::from(sector_size);
    let size = whole.saturating_sub(HEADER) / sector * sector;
    if size == 0 {
        return Err(LayoutError::NoRoom {
            kind: "luks",
            node: node.name.clone(),
            size: whole,
            needed: HEADER + sector,
        });
    }
    Ok(Luks {
        name: node.name.clone(),
        device: device.clone(),
        uuid: node.uuid.unwrap_or_else(|| identity.uuid("luks", &node.name)),
        label: node.label.clone().unwrap_or_default(),
        header: HEADER,
        size,
        cipher: node.cipher.clone(),
        key_bits: node.key_bits,
        sector_size,
        secret: node.secret.clone(),
    })
}

pub(super) fn verity(
    node: &config::Verity,
    devices: &Devices,
    layout: &Layout,
    identity: &Identity,
) -> Result<Verity, LayoutError> {
    let (data, hash) = (devices.need(&node.name, &node.base)?, devices.need(&node.name, &node.hash)?);
    let size_of = |device| layout.size_of(device).unwrap_or_default();
    let data_blocks = size_of(data) / u64::from(BLOCK);
    let digest = if node.algorithm == "sha512" { 64 } else { 32 };
    let hash_size = hash_size(data_blocks, u64::from(BLOCK) / digest);
    if hash_size > size_of(hash) {
        let (node, base, size) = (node.name.clone(), node.hash.clone(), size_of(hash));
        return Err(LayoutError::HashRoom { node, hash: base, size, needed: hash_size });
    }
    let salt = || {
        // 256 bits, as veritysetup takes at random.
        let halves = ["salt", "more salt"].map(|kind| identity.uuid(kind, &node.name).simple().to_string());
        halves.concat()
    };
    Ok(Verity {
        name: node.name.clone(),
        data: data.clone(),
        hash: hash.clone(),
        uuid: node.uuid.unwrap_or_else(|| identity.uuid("verity", &node.name)),
        algorithm: node.algorithm.clone(),
        salt: node.salt.clone().unwrap_or_else(salt),
        data_block_size: BLOCK,
        hash_block_size: BLOCK,
        data_blocks,
        hash_size,
    })
}

/// Bytes of the super block and of every level: a level has a hash for each block of the one below, up to a single block.
fn hash_size(data_blocks: u64, per_block: u64) -> u64 {
    let (mut blocks, mut level) = (1, data_blocks);
    while level > 1 {
        level = level.div_ceil(per_block);
        blocks += level;
    }
    blocks * u64::from(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::hash_size;

    /// The sizes of what `veritysetup format` 2.6.1 writes.
    #[test]
    fn a_tree_of_hashes_is_as_large_as_veritysetup_makes_it() {
        for (blocks, per_block, expected) in
            [(1, 128, 1), (2, 128, 2), (128, 128, 2), (129, 128, 4), (25600, 128, 204), (25600, 64, 409)]
        {
            assert_eq!(hash_size(blocks, per_block), expected * 4096, "{blocks} blocks");
        }
    }
}
