//! Thin pools: blocks of a pool's data volume that its thin volumes share, and the b-trees that say whose they are.
//!
//! In: a pool of the layout, the file of each of its volumes. Out: the blocks that hold anything in the data volume, one after the
//! other, and the metadata volume as `thin_restore` (thin-provisioning-tools) writes it from a list of runs. Only what is no hole
//! takes a block. Not here: LVM's own metadata (`lvm`).

use std::fmt::Write;
use std::fs::File;

use camino::Utf8Path;

use super::DiskError;
use super::pieces::{self, Temporary};
use super::space::{self, Spaces};
use crate::disk::layout::{Layout, LogicalVolume, VolumeGroup, VolumeKind};
use crate::event::Events;
use crate::sandbox::command::Command;

/// A thin volume and the file of its content.
pub(super) struct Thin {
    /// Its number in the pool.
    pub id: u32,
    /// Where its bytes are.
    pub whole: Temporary,
    /// How many there are.
    pub size: u64,
}

/// Writes the pool `pool` of `group` with its `volumes`.
pub(super) fn write(
    layout: &Layout,
    group: &VolumeGroup,
    pool: &LogicalVolume,
    volumes: &[Thin],
    spaces: &Spaces,
    events: &Events,
) -> Result<(), DiskError> {
    let VolumeKind::ThinPool { data, metadata, chunk_size } = &pool.kind else { return Ok(()) };
    let places = |volume: &crate::disk::layout::HiddenVolume| {
        space::extents(layout, group, &volume.segments).unwrap_or_default()
    };
    let blocks = spaces.temporary("blocks", data.size)?;
    let mut list = format!(
        "<superblock uuid=\"\" time=\"0\" transaction=\"{}\" data_block_size=\"{}\" nr_data_blocks=\"{}\">\n",
        volumes.len(),
        chunk_size / 512,
        data.size / chunk_size
    );
    let mut next = 0;
    for (transaction, volume) in volumes.iter().enumerate() {
        let io = || DiskError::io("copy", &volume.whole.path);
        let from = File::open(&volume.whole.path).map_err(io())?;
        let runs = runs(&from, volume.size, *chunk_size).map_err(io())?;
        let used: u64 = runs.iter().map(|(_, count)| count).sum();
        if (next + used) * chunk_size > data.size {
            let why = format!(
                "its volumes hold {} MiB and more, and it has {} MiB; make it larger",
                ((next + used) * chunk_size) >> 20,
                data.size >> 20
            );
            return Err(DiskError::Shape { node: pool.name.clone(), why });
        }
        let _ = writeln!(
            list,
            "<device dev_id=\"{}\" mapped_blocks=\"{used}\" transaction=\"{transaction}\" creation_time=\"0\" snap_time=\"0\">",
            volume.id
        );
        for (first, count) in runs {
            let _ = writeln!(
                list,
                "<range_mapping origin_begin=\"{first}\" data_begin=\"{next}\" length=\"{count}\" time=\"0\"/>"
            );
            let length = (count * chunk_size).min(volume.size - first * chunk_size);
            pieces::copy(&from, first * chunk_size, &blocks.file, next * chunk_size, length).map_err(io())?;
            next += count;
        }
        list.push_str("</device>\n");
    }
    list.push_str("</superblock>\n");
    spaces.spread(&blocks.path, &places(data))?;
    restore(pool, &list, metadata.size, spaces, events, |file| spaces.spread(file, &places(metadata)))
}

/// The runs of blocks of `file` that hold anything: first block and how many.
fn runs(file: &File, size: u64, block: u64) -> std::io::Result<Vec<(u64, u64)>> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in pieces::data(file, 0, size)? {
        let (first, end) = (begin / block, end.div_ceil(block));
        match runs.last_mut() {
            Some((last, count)) if *last + *count >= first => *count = (*count).max(end - *last),
            _ => runs.push((first, end - first)),
        }
    }
    Ok(runs)
}

/// Makes the pool's metadata, `size` bytes, from a list of runs, and hands its file on.
fn restore(
    pool: &LogicalVolume,
    list: &str,
    size: u64,
    spaces: &Spaces,
    events: &Events,
    then: impl FnOnce(&Utf8Path) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    // The tool writes over what is there, so it begins with zeros.
    let (text, made) = (spaces.temporary("runs", 0)?, spaces.temporary("metadata", size)?);
    std::fs::write(&text.path, list).map_err(DiskError::io("write", &text.path))?;
    let command = Command::new(["thin_restore", "-i", text.path.as_str(), "-o", made.path.as_str()]).quiet();
    command.check(events).map_err(|source| DiskError::Mkfs { node: pool.name.clone(), source })?;
    then(&made.path)
}
