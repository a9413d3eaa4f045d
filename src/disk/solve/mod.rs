//! From a description to offsets.
//!
//! In: a checked [`Config`], the request's parameters, a size and a seed. Out: a [`Layout`]: numbers, offsets, types, labels and
//! identifiers, as DIB's partitioning, sgdisk, LVM, cryptsetup and veritysetup would place them. Pure arithmetic; the order of
//! nodes in the description does not matter, only that within its lists. Not here: writing.

mod devices;
mod encryption;
mod error;
mod filesystems;
mod gpt;
mod identity;
mod mapper;
mod mbr;
mod minimum;
mod remedy;
mod share;
mod volumes;

use super::config::{Config, TableKind};
use super::layout::{Disk, Layout};
use crate::plan::DiskParameters;
pub use error::LayoutError;
pub use filesystems::{root_fs_type, root_label};
use identity::Identity;
pub use minimum::minimum;
pub use remedy::Remedy;

/// Solves `config`. `image_size` (bytes) is the size of every disk that names none; identifiers follow from `seed`.
///
/// # Errors
/// When something does not fit, a table cannot hold it, or labels clash.
pub fn solve(config: &Config, parameters: &DiskParameters, image_size: u64, seed: &str) -> Result<Layout, LayoutError> {
    let identity = Identity::new(seed);
    let mut disks = Vec::new();
    for image in &config.loops {
        let sector = u64::from(image.block_size);
        let size = image.size.unwrap_or(image_size) / sector * sector;
        if size == 0 {
            let disk = image.name.clone();
            return Err(match image.size.or((image_size > 0).then_some(image_size)) {
                None => LayoutError::NoSize { disk },
                Some(given) => LayoutError::LessThanASector { disk, given, sector },
            });
        }
        let mut disk =
            Disk { name: image.name.clone(), size, sector_size: image.block_size, table: None, partitions: Vec::new() };
        if let Some(table) = config.tables.iter().find(|table| table.base == image.name) {
            match table.label {
                TableKind::Mbr => mbr::place(&mut disk, table, &identity, image.size.is_some(), parameters.dib_strict)?,
                TableKind::Gpt => gpt::place(&mut disk, table, &identity, image.size.is_some())?,
            }
        }
        disks.push(disk);
    }
    // The primary disk first, whatever its place in the description.
    disks.sort_by_key(|disk| (disk.name != "image0", disk.name.clone()));
    let mut layout = Layout { disks, ..Layout::default() };
    let devices = devices::place(config, &mut layout, &identity)?;
    layout.filesystems = filesystems::place(config, parameters, &devices, &layout, &identity)?;
    filesystems::check(&layout)?;
    mapper::check(&layout)?;
    Ok(layout)
}

#[cfg(test)]
mod dib;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(in crate::disk) mod tests;
