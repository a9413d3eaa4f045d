//! LVM2's label and metadata area.
//!
//! In: a volume group of the layout, and where each of its physical volumes lies in a file. Out: label, header and text metadata in
//! each of them, as `pvcreate` and `vgcreate` leave them; the image's own LVM activates it. The format is that of LVM2's
//! `lib/label/label.h` and `lib/format_text/layout.h`; all numbers are little-endian. Not here: what is in the volumes, the
//! metadata of thin pools (`thin`).

mod checksum;
mod text;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::disk::layout::{PhysicalVolume, VolumeGroup, lvm_identifier};
use checksum::checksum;

/// Sectors are of 512 bytes here, whatever the disk's are.
const SECTOR: u64 = 512;
/// The label is in the second sector.
const LABEL: u64 = SECTOR;
/// Where the metadata area begins.
const AREA: u64 = 4096;
/// Its header's bytes; the text follows.
const HEADER: usize = 512;
const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// A physical volume that belongs to a group.
const USED: u32 = 1;

/// Writes label and metadata of the physical volume `volume` of `group`, which begins at `start` of `file`. `time` is when the
/// group was made, in seconds since the epoch.
pub(super) fn write(
    group: &VolumeGroup,
    volume: &PhysicalVolume,
    time: i64,
    file: &File,
    start: u64,
) -> io::Result<()> {
    let text = text::of(group, time);
    let room = (volume.data_start - AREA) as usize - HEADER;
    if text.len() > room / 2 {
        // LVM writes a new version beside the old one.
        return Err(io::Error::other(format!("its metadata takes {} bytes, and {} fit", text.len(), room / 2)));
    }
    file.write_all_at(&label(volume), start + LABEL)?;
    file.write_all_at(&header(volume.data_start - AREA, text.as_bytes()), start + AREA)?;
    file.write_all_at(text.as_bytes(), start + AREA + HEADER as u64)
}

/// The label: where everything of a physical volume is.
fn label(volume: &PhysicalVolume) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    sector[..8].copy_from_slice(b"LABELONE");
    sector[8..16].copy_from_slice(&(LABEL / SECTOR).to_le_bytes());
    sector[20..24].copy_from_slice(&32u32.to_le_bytes());
    sector[24..32].copy_from_slice(b"LVM2 001");
    let identifier = lvm_identifier(volume.uuid).replace('-', "");
    sector[32..64].copy_from_slice(identifier.as_bytes());
    // The device's size; data areas (to the end), metadata areas, each list ended by a pair of zeros; the extension's version and
    // flags, and no areas for boot loaders.
    let numbers = [volume.size, volume.data_start, 0, 0, 0, AREA, volume.data_start - AREA, 0, 0];
    for (number, at) in numbers.into_iter().zip((64..).step_by(8)) {
        sector[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    sector[136..140].copy_from_slice(&2u32.to_le_bytes());
    sector[140..144].copy_from_slice(&USED.to_le_bytes());
    let sum = checksum(&sector[20..]);
    sector[16..20].copy_from_slice(&sum.to_le_bytes());
    sector
}

/// The header of a metadata area of `size` bytes with `text` right behind it.
fn header(size: u64, text: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[4..20].copy_from_slice(MAGIC);
    header[20..24].copy_from_slice(&1u32.to_le_bytes());
    header[24..32].copy_from_slice(&AREA.to_le_bytes());
    header[32..40].copy_from_slice(&size.to_le_bytes());
    header[40..48].copy_from_slice(&(HEADER as u64).to_le_bytes());
    header[48..56].copy_from_slice(&(text.len() as u64).to_le_bytes());
    header[56..60].copy_from_slice(&checksum(text).to_le_bytes());
    let sum = checksum(&header[4..]);
    header[..4].copy_from_slice(&sum.to_le_bytes());
    header
}
