//! FAT12, FAT16 and FAT32 in process (Microsoft's FAT specification, 1.03).
//!
//! The crate `fatfs` makes the empty file system; the type follows from the size as in mkfs.vfat (512 MiB and more: FAT32), unless
//! `-F` says otherwise. The content is written here: fatfs 0.3 gives `.` and `..` long names, which fsck.vfat takes for damage.
//! A tree that is known beforehand needs no free-space search either: every file is one run of clusters. Times are UTC.

mod fill;
mod name;
mod volume;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use fatfs::{FatType, FormatVolumeOptions};
use fscommon::{BufStream, StreamSlice};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{DiskError, Job};
use crate::disk::image_size::usage_without;
use crate::disk::layout::Region;

const MIB: u64 = 1 << 20;

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>, file: &File) -> Result<(), DiskError> {
    let filesystem = job.filesystem;
    let failed = || DiskError::io("write the FAT file system in", job.image);
    let format = || {
        let end = job.start + filesystem.size;
        Ok(BufStream::new(StreamSlice::new(file.try_clone()?, job.start, end)?))
    };
    let options = options(job)?;
    let mut stream = format().map_err(failed())?;
    fatfs::format_volume(&mut stream, options).map_err(failed())?;
    drop(stream);
    let mut volume = volume::Volume::open(file, job.start).map_err(failed())?;
    match fill::fill(job, &mut volume) {
        Ok(()) => volume.finish().map_err(failed()),
        Err(fill::FillError::Full) => Err(too_small(job)?),
        Err(fill::FillError::Disk(error)) => Err(error),
    }
}

/// Takes away what is in its place.
pub(super) fn empty(region: &Region, file: &File) -> io::Result<()> {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, hole, region.start, region.size) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = vec![0; MIB as usize];
            let end = region.start + region.size;
            for at in (region.start..end).step_by(zeros.len()) {
                file.write_all_at(&zeros[..(end - at).min(MIB) as usize], at)?;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The error of a content that is too large.
fn too_small(job: &Job<'_>) -> Result<DiskError, DiskError> {
    let filesystem = job.filesystem;
    let content = job.content().unwrap_or_default();
    let used = usage_without(&content, &job.others())? * 1024;
    Ok(DiskError::DoesNotFit {
        node: filesystem.name.clone(),
        mount_point: filesystem.mount_point.clone().unwrap_or_default(),
        used,
        size: filesystem.size,
        // The tables take less than a hundredth.
        missing: (used + used / 100).saturating_sub(filesystem.size).next_multiple_of(MIB).max(MIB),
    })
}

fn options(job: &Job<'_>) -> Result<FormatVolumeOptions, DiskError> {
    let filesystem = job.filesystem;
    let sector = job.sector;
    let shape = |why: String| DiskError::Shape { node: filesystem.name.clone(), why };
    let sectors = u32::try_from(filesystem.size / u64::from(sector)).map_err(|_| shape("too large for FAT".into()))?;
    let mut label = [b' '; 11];
    for (to, from) in label.iter_mut().zip(filesystem.label.bytes()) {
        *to = from;
    }
    let mut options = FormatVolumeOptions::new()
        .bytes_per_sector(sector as u16)
        .total_sectors(sectors)
        .volume_id(filesystem.uuid.as_fields().0)
        .volume_label(label);
    let mut words = filesystem.options.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let value = if word.len() > 2 { word.get(2..) } else { words.next() };
        let number = value.and_then(|value| value.parse::<u32>().ok());
        options = match (word.get(..2), number) {
            (Some("-F"), Some(12)) => options.fat_type(FatType::Fat12),
            (Some("-F"), Some(16)) => options.fat_type(FatType::Fat16),
            (Some("-F"), Some(32)) => options.fat_type(FatType::Fat32),
            (Some("-s"), Some(count)) if count.is_power_of_two() && count <= 128 => {
                options.bytes_per_cluster(count * sector)
            }
            _ => {
                let known = "`-F 12|16|32` and `-s SECTORS` are";
                return Err(shape(format!("opts: `{word}` is not understood for FAT; {known}")));
            }
        };
    }
    Ok(options)
}
