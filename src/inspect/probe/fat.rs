//! FAT12, FAT16 and FAT32 (Microsoft's specification 1.03).

use super::{label, le16, le32};
use crate::inspect::report::Filesystem;
use crate::inspect::{InspectError, Window};

/// The most clusters that entries of 12 and of 16 bits can number.
const MOST_12: u64 = 4085;
const MOST_16: u64 = 65_525;

/// Where things are, checked against each other and the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes in a cluster.
    pub cluster: u64,
    /// Offset of the first table.
    pub table: u64,
    /// Offset and bytes of the root folder of FAT12 and FAT16.
    pub root: (u64, u64),
    /// First cluster of the root folder of FAT32, else 0.
    pub root_cluster: u64,
    /// Offset of cluster 2.
    pub data: u64,
    /// Number of clusters; the first is number 2.
    pub clusters: u64,
    /// Bits in an entry: 12, 16 or 32.
    pub bits: u32,
    /// Bytes of it all.
    size: u64,
}

impl Geometry {
    /// Reads the first sector, when it is that of a FAT file system.
    pub fn read(window: &Window) -> Result<Option<Self>, InspectError> {
        let boot = window.bytes::<512>(0)?;
        let sector = le16(&boot, 11);
        let per_cluster = u64::from(boot[13]);
        let (reserved, tables, entries) = (le16(&boot, 14), u64::from(boot[16]), le16(&boot, 17));
        let or = |small: u64, large: u64| if small != 0 { small } else { large };
        let total = or(le16(&boot, 19), le32(&boot, 32));
        let per_table = or(le16(&boot, 22), le32(&boot, 36));
        let sane = boot[510..] == [0x55, 0xaa]
            && matches!(boot[0], 0xeb | 0xe9)
            && sector.is_power_of_two()
            && (512..=4096).contains(&sector)
            && per_cluster.is_power_of_two()
            && reserved > 0
            && (1..=2).contains(&tables)
            && per_table > 0
            && total * sector <= window.size();
        let root = (reserved + tables * per_table) * sector;
        let root_bytes = (entries * 32).next_multiple_of(sector.max(1));
        let data = root + root_bytes;
        if !sane || data >= total * sector {
            return Ok(None);
        }
        let clusters = (total * sector - data) / (per_cluster * sector);
        let bits = match clusters {
            0..MOST_12 => 12,
            MOST_12..MOST_16 => 16,
            _ => 32,
        };
        let root_cluster = if bits == 32 { le32(&boot, 44) } else { 0 };
        // The table has an entry for each.
        if per_table * sector * 8 < (clusters + 2) * u64::from(bits) || (bits != 32 && entries == 0) {
            return Ok(None);
        }
        let (cluster, table, size) = (per_cluster * sector, reserved * sector, total * sector);
        Ok(Some(Self { cluster, table, root: (root, root_bytes), root_cluster, data, clusters, bits, size }))
    }
}

/// Reads the first sector, and counts what is free.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    let Some(geometry) = Geometry::read(window)? else { return Ok(None) };
    let boot = window.bytes::<512>(0)?;
    // Label and number have their place behind what only FAT32 has.
    let extra = if geometry.bits == 32 { 64 } else { 36 };
    let valid = boot[extra + 2] == 0x29;
    let number = le32(&boot, extra + 3);
    let name = label(&boot[extra + 7..extra + 18]).filter(|name| valid && name != "NO NAME");
    let used = crate::inspect::fat::used_clusters(window, &geometry)?;
    Ok(Some(Filesystem {
        kind: "vfat",
        label: name,
        uuid: valid.then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff)),
        size: Some(geometry.size),
        used: used.map(|used| used * geometry.cluster),
    }))
}
