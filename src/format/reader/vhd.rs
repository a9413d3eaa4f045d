//! A VHD, fixed or dynamic.

use super::blocks::{Blocks, HOLE};
use super::container::{Container, be};
use super::raw::Raw;
use super::{Disk, FormatError};
use crate::format::vhd::{SECTOR, checksum};

/// A block that is not in the file.
const UNUSED: u32 = u32::MAX;
/// The most cylinders, heads and sectors that a footer can say.
const LARGEST_GEOMETRY: u64 = 65_535 * 16 * 255;

/// Opens the image in `file`.
pub fn open(file: Container) -> Result<Box<dyn Disk>, FormatError> {
    let footer = footer(&file)?;
    let size = size(&footer);
    match be::u32(&footer, 60) {
        2 => {
            if size > file.length() - SECTOR {
                return Err(file.damaged("it ends too early"));
            }
            Ok(Box::new(Raw::beginning(file, size)))
        }
        3 => Ok(Box::new(dynamic(file, &footer, size)?)),
        4 => Err(file.unsupported("a parent")),
        _ => Err(file.damaged("its kind is unknown")),
    }
}

/// The footer, or its copy at the beginning.
fn footer(file: &Container) -> Result<[u8; 512], FormatError> {
    let mut footer = [0; 512];
    let good = |footer: &[u8; 512]| footer.starts_with(b"conectix") && be::u32(footer, 64) == checksum(footer, 64);
    for at in [file.length().checked_sub(SECTOR), Some(0)] {
        let Some(at) = at else { continue };
        if file.length() >= SECTOR {
            file.fill(&mut footer, at)?;
        }
        if good(&footer) {
            return Ok(footer);
        }
    }
    Err(file.damaged("it has no footer"))
}

/// The size, which two creators tell by the geometry unless that is the largest.
fn size(footer: &[u8; 512]) -> u64 {
    let size = be::u64(footer, 48);
    let geometry = u64::from(be::u16(footer, 56)) * u64::from(footer[58]) * u64::from(footer[59]);
    let by_geometry = matches!(&footer[28..32], b"vpc " | b"qemu") && geometry != LARGEST_GEOMETRY;
    if by_geometry { geometry * SECTOR } else { size / SECTOR * SECTOR }
}

fn dynamic(file: Container, footer: &[u8; 512], size: u64) -> Result<Blocks, FormatError> {
    let header = file.table(be::u64(footer, 16), 1024)?;
    if !header.starts_with(b"cxsparse") || be::u32(&header, 36) != checksum(&header, 36) {
        return Err(file.damaged("it has no header"));
    }
    let (table, entries, block) = (be::u64(&header, 16), be::u32(&header, 28), u64::from(be::u32(&header, 32)));
    if block < SECTOR || !block.is_power_of_two() {
        return Err(file.damaged("its blocks have an impossible size"));
    }
    let wanted = size.div_ceil(block);
    if u64::from(entries) < wanted {
        return Err(file.damaged("its table is too short"));
    }
    let table = file.table(table, wanted * 4)?;
    // A bit a sector, in whole sectors.
    let bitmap = (block / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
    let place = |entry: &[u8]| match be::u32(entry, 0) {
        UNUSED => HOLE,
        sector => u64::from(sector) * SECTOR + bitmap,
    };
    let places = table.chunks_exact(4).map(place).collect();
    Ok(Blocks { file, size, block, places })
}
