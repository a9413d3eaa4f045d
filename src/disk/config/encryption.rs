//! LUKS containers and verified devices in a description.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A LUKS2 container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Luks {
    /// Its name.
    pub name: String,
    /// The partition, disk or logical volume that it fills.
    pub base: String,
    /// The identifier of the secret that opens it.
    pub secret: String,
    /// As the kernel's crypto layer spells it.
    pub cipher: String,
    /// Bits of the volume key.
    pub key_bits: u32,
    /// Bytes that are encrypted together; the disk's sector size when absent.
    pub sector_size: Option<u32>,
    /// Its label in the header when the description gives one.
    pub label: Option<String>,
    /// Its identifier when the description gives one.
    pub uuid: Option<Uuid>,
}

/// A dm-verity device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verity {
    /// Its name.
    pub name: String,
    /// The partition or logical volume whose content is verified.
    pub base: String,
    /// The partition or logical volume for the hashes.
    pub hash: String,
    /// `sha256` or `sha512`.
    pub algorithm: String,
    /// Lower-case hexadecimal when the description gives one.
    pub salt: Option<String>,
    /// Its identifier when the description gives one.
    pub uuid: Option<Uuid>,
}
