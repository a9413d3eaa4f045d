//! The header of a qcow2 file.
//!
//! In: where the tables are. Out: its bytes, all numbers big-endian as the format's specification lists them.

use super::{Compression, Options, Version};

/// Incompatible feature bit 3: clusters are not compressed with deflate.
const COMPRESSION_TYPE: u64 = 1 << 3;
/// 16 bits a reference count.
const REFCOUNT_ORDER: u32 = 4;

/// What a header says beyond constants.
pub struct Header {
    /// Size of the disk in bytes.
    pub size: u64,
    /// Entries in the L1 table.
    pub l1_entries: u32,
    /// Offset of the L1 table in the file.
    pub l1_offset: u64,
    /// Offset of the refcount table in the file.
    pub refcount_offset: u64,
    /// Clusters in the refcount table.
    pub refcount_clusters: u32,
    /// How clusters are stored.
    pub options: Options,
}

impl Header {
    /// The header; in version 3 followed by the mark that ends the header extensions.
    pub fn bytes(&self) -> Vec<u8> {
        let zstd = matches!(self.options.compression, Compression::Zstd { .. });
        let version: u32 = match self.options.version {
            Version::Two => 2,
            Version::Three => 3,
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(b"QFI\xfb");
        bytes.extend(version.to_be_bytes());
        // No backing file: offset and length of its name.
        bytes.extend(0_u64.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(self.options.cluster_bits.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        // Not encrypted.
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(self.l1_entries.to_be_bytes());
        bytes.extend(self.l1_offset.to_be_bytes());
        bytes.extend(self.refcount_offset.to_be_bytes());
        bytes.extend(self.refcount_clusters.to_be_bytes());
        // No snapshots: their number and where they are.
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        if self.options.version == Version::Two {
            bytes.extend([0; 8]);
            return bytes;
        }
        // Features: incompatible, compatible, to be cleared by who does not know them.
        bytes.extend(if zstd { COMPRESSION_TYPE } else { 0 }.to_be_bytes());
        bytes.extend([0; 16]);
        bytes.extend(REFCOUNT_ORDER.to_be_bytes());
        // Header length. The compression type is written only where it says something, so that a QEMU older than the field
        // reads deflate images.
        if zstd {
            bytes.extend(112_u32.to_be_bytes());
            bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        } else {
            bytes.extend(104_u32.to_be_bytes());
        }
        bytes.extend([0; 8]);
        bytes
    }
}
