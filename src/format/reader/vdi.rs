//! A VDI, dynamic or fixed.

use super::FormatError;
use super::blocks::{Blocks, HOLE};
use super::container::{Container, le};
use crate::format::vdi::SIGNATURE;

/// Entries from here on: no data, or zeros.
const FIRST_UNUSED: u32 = 0xffff_fffe;

/// Opens the image in `file`.
pub fn open(file: Container) -> Result<Blocks, FormatError> {
    let header = file.table(0, 512)?;
    if le::u32(&header, 64) != SIGNATURE {
        return Err(file.damaged("it has no header"));
    }
    if le::u32(&header, 68) != 0x0001_0001 {
        return Err(file.unsupported("another version"));
    }
    match le::u32(&header, 76) {
        1 | 2 => {}
        4 => return Err(file.unsupported("a parent")),
        _ => return Err(file.unsupported("another kind")),
    }
    let (map, data) = (u64::from(le::u32(&header, 0x154)), u64::from(le::u32(&header, 0x158)));
    let (size, block) = (le::u64(&header, 0x170), u64::from(le::u32(&header, 0x178)));
    let extra = u64::from(le::u32(&header, 0x17c));
    if block < 512 || !block.is_power_of_two() || extra != 0 {
        return Err(file.damaged("its blocks have an impossible size"));
    }
    let wanted = size.div_ceil(block);
    if u64::from(le::u32(&header, 0x180)) < wanted {
        return Err(file.damaged("its map is too short"));
    }
    let map = file.table(map, wanted.saturating_mul(4))?;
    let place = |entry: &[u8]| match le::u32(entry, 0) {
        FIRST_UNUSED.. => HOLE,
        number => data + u64::from(number) * block,
    };
    let places = map.chunks_exact(4).map(place).collect();
    Ok(Blocks { file, size, block, places })
}
