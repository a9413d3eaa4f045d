//! LUKS containers and verified devices.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Device;

/// A LUKS2 container (LUKS2 On-Disk Format Specification): a header, then the encrypted content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Luks {
    /// Its node's name, and that of the opened device in /dev/mapper.
    pub name: String,
    /// What it fills.
    pub device: Device,
    /// Its identifier.
    pub uuid: Uuid,
    /// Its label in the header; empty for none.
    pub label: String,
    /// Bytes before the content: both copies of the header and the key slots.
    pub header: u64,
    /// Bytes of the content.
    pub size: u64,
    /// As the kernel's crypto layer spells it: `aes-xts-plain64`.
    pub cipher: String,
    /// Bits of the volume key.
    pub key_bits: u32,
    /// Bytes that are encrypted together: 512 or 4096.
    pub sector_size: u32,
    /// The identifier of the secret that opens it.
    pub secret: String,
}

/// A dm-verity device (the kernel's `Documentation/admin-guide/device-mapper/verity.rst`): data that a tree of hashes verifies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verity {
    /// Its node's name, and that of the opened device in /dev/mapper.
    pub name: String,
    /// The data.
    pub data: Device,
    /// Where the super block and the tree of hashes are written.
    pub hash: Device,
    /// The identifier in the super block.
    pub uuid: Uuid,
    /// `sha256` or `sha512`.
    pub algorithm: String,
    /// Hashed with every block; lower-case hexadecimal.
    pub salt: String,
    /// Bytes per block of the data: 4096.
    pub data_block_size: u32,
    /// Bytes per block of the tree: 4096.
    pub hash_block_size: u32,
    /// Blocks of the data.
    pub data_blocks: u64,
    /// Bytes of the super block and the tree.
    pub hash_size: u64,
}
