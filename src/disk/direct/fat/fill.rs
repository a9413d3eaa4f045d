//! Copies a folder of the tree into an empty FAT file system.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::name::{self, Name};
use super::volume::{Place, Volume};
use crate::disk::direct::{DiskError, Job};

/// Attributes of entries.
const VOLUME: u8 = 0x08;
const FOLDER: u8 = 0x10;
const FILE: u8 = 0x20;
/// A folder takes at most this many bytes.
const FOLDER_LIMIT: usize = 65_536 * 32;

/// Why content was not stored.
pub(super) enum FillError {
    /// No cluster is left.
    Full,
    /// Anything else.
    Disk(DiskError),
}

impl From<DiskError> for FillError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Writes the label and the content.
pub(super) fn fill(job: &Job<'_>, volume: &mut Volume<'_>) -> Result<(), FillError> {
    let filler =
        Filler { job, others: job.others(), now: job.time.unwrap_or_else(|| jiff::Timestamp::now().as_second()) };
    let content = job.content();
    let children = match &content {
        Some(content) => filler.children(content)?,
        None => Vec::new(),
    };
    let slots = 1 + slots(&children);
    let place = if volume.root_entries == 0 {
        Place::Cluster(volume.take(slots as u64 * 32).ok_or(FillError::Full)?)
    } else if slots > volume.root_entries {
        let why = format!("{slots} entries are more than its root folder holds ({})", volume.root_entries);
        return Err(DiskError::Shape { node: job.filesystem.name.clone(), why }.into());
    } else {
        Place::Root
    };
    let mut label = [b' '; 11];
    for (to, from) in label.iter_mut().zip(job.filesystem.label.bytes()) {
        *to = from;
    }
    let first = vec![entry(&label, VOLUME, 0, 0, filler.now)];
    filler.folder(volume, place, 0, first, children)
}

/// Something to store.
struct Child {
    path: Utf8PathBuf,
    metadata: Metadata,
    name: Name,
}

struct Filler<'a> {
    job: &'a Job<'a>,
    others: Vec<Utf8PathBuf>,
    now: i64,
}

impl Filler<'_> {
    /// What is in the folder `from`, in the order of names.
    fn children(&self, from: &Utf8Path) -> Result<Vec<Child>, DiskError> {
        let mut entries = from
            .read_dir_utf8()
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(DiskError::io("read the folder", from))?;
        entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
        let refuse = |name: &str, why: &str| DiskError::NotForFat {
            path: from.join(name),
            node: self.job.filesystem.name.clone(),
            why: why.into(),
        };
        let mut seen: HashMap<String, &str> = HashMap::new();
        for entry in &entries {
            if let Some(other) = seen.insert(entry.file_name().to_lowercase(), entry.file_name()) {
                return Err(refuse(entry.file_name(), &format!("FAT does not tell it from `{other}`")));
            }
        }
        let texts: Vec<&str> = entries.iter().map(|entry| entry.file_name()).collect();
        let names = name::names(&texts).map_err(|name| {
            refuse(name, "FAT has no names with \"*/:<>?\\|, a dot or space at the end, or over 255 characters")
        })?;
        let child = |(entry, name): (&camino::Utf8DirEntry, Name)| {
            let path = entry.path().to_owned();
            let metadata = path.symlink_metadata().map_err(DiskError::io("look at", &path))?;
            if !metadata.is_dir() && !metadata.is_file() {
                return Err(refuse(entry.file_name(), "FAT has folders and files only; copy what a link points to"));
            }
            if metadata.is_file() && metadata.len() > u64::from(u32::MAX) {
                return Err(refuse(entry.file_name(), "FAT has files of less than 4 GiB only"));
            }
            Ok(Child { path, metadata, name })
        };
        entries.iter().zip(names).map(child).collect()
    }

    /// Writes `children` behind the entries `first` of the folder at `place`, whose number is `own` to its children (0: root).
    fn folder(
        &self,
        volume: &mut Volume<'_>,
        place: Place,
        own: u32,
        first: Vec<[u8; 32]>,
        children: Vec<Child>,
    ) -> Result<(), FillError> {
        let mut entries = first;
        for child in children {
            let time = self.time(&child.metadata);
            let (kind, cluster, size) = if child.metadata.is_dir() {
                (FOLDER, self.sub_folder(volume, own, &child)?, 0)
            } else {
                (FILE, self.copy(volume, &child)?, child.metadata.len() as u32)
            };
            entries.extend(child.name.long_entries());
            entries.push(entry(&child.name.short, kind, cluster, size, time));
        }
        let bytes = entries.concat();
        volume
            .file()
            .write_all_at(&bytes, volume.offset(place))
            .map_err(|error| DiskError::io("write the FAT file system in", self.job.image)(error).into())
    }

    fn sub_folder(&self, volume: &mut Volume<'_>, parent: u32, child: &Child) -> Result<u32, FillError> {
        let children = if self.others.contains(&child.path) { Vec::new() } else { self.children(&child.path)? };
        let bytes = (2 + slots(&children)) * 32;
        if bytes > FOLDER_LIMIT {
            let (path, node) = (child.path.clone(), self.job.filesystem.name.clone());
            return Err(
                DiskError::NotForFat { path, node, why: "a folder of FAT has at most 65536 entries".into() }.into()
            );
        }
        let cluster = volume.take(bytes as u64).ok_or(FillError::Full)?;
        let time = self.time(&child.metadata);
        let first =
            vec![entry(b".          ", FOLDER, cluster, 0, time), entry(b"..         ", FOLDER, parent, 0, time)];
        self.folder(volume, Place::Cluster(cluster), cluster, first, children)?;
        Ok(cluster)
    }

    fn copy(&self, volume: &mut Volume<'_>, child: &Child) -> Result<u32, FillError> {
        let size = child.metadata.len();
        let cluster = volume.take(size).ok_or(FillError::Full)?;
        if size == 0 {
            return Ok(0);
        }
        let copy = || {
            let mut to = volume.file();
            to.seek(SeekFrom::Start(volume.offset(Place::Cluster(cluster))))?;
            let copied = io::copy(&mut io::Read::take(File::open(&child.path)?, size), &mut to)?;
            if copied == size { Ok(()) } else { Err(io::Error::other("it shrank while it was read")) }
        };
        copy().map_err(DiskError::io("store on FAT the file", &child.path))?;
        Ok(cluster)
    }

    fn time(&self, metadata: &Metadata) -> i64 {
        self.job.time.map_or(metadata.mtime(), |limit| metadata.mtime().min(limit))
    }
}

fn slots(children: &[Child]) -> usize {
    children.iter().map(|child| child.name.entries()).sum()
}

fn entry(short: &[u8; 11], kind: u8, cluster: u32, size: u32, time: i64) -> [u8; 32] {
    let (date, time) = date_time(time);
    let (cluster, mut entry) = (cluster.to_le_bytes(), [0; 32]);
    entry[..11].copy_from_slice(short);
    entry[11] = kind;
    entry[14..16].copy_from_slice(&time.to_le_bytes());
    for at in [16, 18, 24] {
        entry[at..at + 2].copy_from_slice(&date.to_le_bytes());
    }
    entry[20..22].copy_from_slice(&cluster[2..]);
    entry[22..24].copy_from_slice(&time.to_le_bytes());
    entry[26..28].copy_from_slice(&cluster[..2]);
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

/// Date and time in FAT's bits; it counts from 1980 to 2107, in steps of two seconds.
fn date_time(seconds: i64) -> (u16, u16) {
    let seconds = seconds.clamp(315_532_800, 4_354_819_198);
    let civil = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or_default());
    let part = |value: i8| u16::try_from(value).unwrap_or_default();
    let year = u16::try_from(civil.year() - 1980).unwrap_or_default();
    let date = year << 9 | part(civil.month()) << 5 | part(civil.day());
    (date, part(civil.hour()) << 11 | part(civil.minute()) << 5 | (part(civil.second()) / 2))
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn times_are_those_of_the_calendar() {
        // 2023-11-14 22:13:20 UTC.
        assert_eq!(date_time(1_700_000_000), (43 << 9 | 11 << 5 | 14, 22 << 11 | 13 << 5 | 10));
        assert_eq!(date_time(0), (1 << 5 | 1, 0));
    }
}
