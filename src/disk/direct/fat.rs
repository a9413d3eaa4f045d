//! FAT12, FAT16 and FAT32 in process, by the crate `fatfs`.
//!
//! The type follows from the size as in mkfs.vfat (512 MiB and more: FAT32), unless `-F` says otherwise. Folders and files are
//! written in the order of their names, with long names; times are UTC.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use fatfs::{Date, DateTime, Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use fscommon::{BufStream, StreamSlice};

use super::{DiskError, Job};
use crate::disk::image_size::usage_without;

type Stream = BufStream<StreamSlice<File>>;

const MIB: u64 = 1 << 20;
/// The longest file that FAT can hold.
const FILE_LIMIT: u64 = u32::MAX as u64;

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>, file: &File) -> Result<(), DiskError> {
    let filesystem = job.filesystem;
    let others = job.others();
    if let Some(content) = job.content() {
        let used = usage_without(&content, &others)? * 1024;
        // The tables take less than a hundredth.
        let room = filesystem.size - filesystem.size / 100;
        if used > room {
            return Err(DiskError::DoesNotFit {
                node: filesystem.name.clone(),
                mount_point: filesystem.mount_point.clone().unwrap_or_default(),
                used,
                size: filesystem.size,
                missing: (used - room).next_multiple_of(MIB),
            });
        }
    }
    let failed = || DiskError::io("write the FAT file system in", job.image);
    let stream = || {
        let end = filesystem.start + filesystem.size;
        Ok(BufStream::new(StreamSlice::new(file.try_clone()?, filesystem.start, end)?))
    };
    let options = format_options(job)?;
    let mut volume = stream().map_err(failed())?;
    fatfs::format_volume(&mut volume, options).map_err(failed())?;
    drop(volume);
    // fatfs wants its clock for ever; a builder writes one image and ends.
    let clock: &'static Clock = Box::leak(Box::new(Clock(date_time(job.time.unwrap_or_else(now)))));
    let volume =
        FileSystem::new(stream().map_err(failed())?, FsOptions::new().time_provider(clock)).map_err(failed())?;
    if let Some(content) = job.content() {
        let filler = Filler { job, others };
        filler.fill(&volume.root_dir(), &content)?;
    }
    volume.unmount().map_err(failed())
}

fn format_options(job: &Job<'_>) -> Result<FormatVolumeOptions, DiskError> {
    let filesystem = job.filesystem;
    let sector = job.layout.disk(&filesystem.disk).map_or(512, |disk| disk.sector_size);
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
        let value = if word.len() > 2 { Some(&word[2..]) } else { words.next() };
        let number = value.and_then(|value| value.parse::<u32>().ok());
        options = match (word.get(..2), number) {
            (Some("-F"), Some(12)) => options.fat_type(FatType::Fat12),
            (Some("-F"), Some(16)) => options.fat_type(FatType::Fat16),
            (Some("-F"), Some(32)) => options.fat_type(FatType::Fat32),
            (Some("-s"), Some(count)) if count.is_power_of_two() && count <= 128 => {
                options.bytes_per_cluster(count * sector)
            }
            _ => {
                return Err(shape(format!(
                    "opts: `{word}` is not understood for FAT; `-F 12|16|32` and `-s SECTORS` are"
                )));
            }
        };
    }
    Ok(options)
}

struct Filler<'a> {
    job: &'a Job<'a>,
    others: Vec<Utf8PathBuf>,
}

impl Filler<'_> {
    fn fill(&self, folder: &Dir<'_, Stream>, from: &Utf8Path) -> Result<(), DiskError> {
        let mut entries = from
            .read_dir_utf8()
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(DiskError::io("read the folder", from))?;
        entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let metadata = path.symlink_metadata().map_err(DiskError::io("look at", path))?;
            let refuse = |why: &str| {
                Err(DiskError::NotForFat {
                    path: path.to_owned(),
                    node: self.job.filesystem.name.clone(),
                    why: why.into(),
                })
            };
            if metadata.is_dir() {
                let made = folder.create_dir(name).map_err(DiskError::io("store on FAT the folder", path))?;
                if !self.others.iter().any(|other| other == path) {
                    self.fill(&made, path)?;
                }
            } else if !metadata.is_file() {
                return refuse("FAT has folders and files only");
            } else if metadata.len() > FILE_LIMIT {
                return refuse("FAT has files of less than 4 GiB only");
            } else if folder.iter().flatten().any(|there| there.file_name().eq_ignore_ascii_case(name)) {
                return refuse("FAT does not tell upper from lower case, and a file of that name is there");
            } else {
                self.copy(folder, path, name, metadata.mtime())
                    .map_err(DiskError::io("store on FAT the file", path))?;
            }
        }
        Ok(())
    }

    #[expect(deprecated, reason = "fatfs warns that it sets these times itself while writing; this is after writing")]
    fn copy(&self, folder: &Dir<'_, Stream>, path: &Utf8Path, name: &str, modified: i64) -> io::Result<()> {
        let mut to = folder.create_file(name)?;
        io::copy(&mut BufReader::with_capacity(1 << 16, File::open(path)?), &mut to)?;
        let time = date_time(self.job.time.map_or(modified, |limit| modified.min(limit)));
        to.set_created(time);
        to.set_modified(time);
        to.set_accessed(time.date);
        Ok(())
    }
}

/// Always the same time.
#[derive(Debug)]
struct Clock(DateTime);

impl TimeProvider for Clock {
    fn get_current_date(&self) -> Date {
        self.0.date
    }

    fn get_current_date_time(&self) -> DateTime {
        self.0
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// FAT counts from 1980 to 2107.
fn date_time(seconds: i64) -> DateTime {
    let seconds = seconds.clamp(315_532_800, 4_354_819_198);
    let civil = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or_default());
    let part = |value: i8| u16::try_from(value).unwrap_or_default();
    DateTime {
        date: Date {
            year: u16::try_from(civil.year()).unwrap_or(1980),
            month: part(civil.month()),
            day: part(civil.day()),
        },
        time: Time { hour: part(civil.hour()), min: part(civil.minute()), sec: part(civil.second()), millis: 0 },
    }
}
