//! The cache of sources, with DIB's names: both programs can share it.
//!
//! In: `DIB_IMAGE_CACHE`. Out: a path for each source; a lock that both programs respect. Not here: what is in it.

use std::fs::{self, File, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use sha1::{Digest, Sha1};

use super::super::{PlumbingError, Site};
use super::line::Source;

/// How long another program may hold the cache.
const PATIENCE: Duration = Duration::from_secs(600);

/// The folder of cached sources.
pub struct Cache {
    folder: Utf8PathBuf,
}

impl Cache {
    /// The cache, made when it is not there.
    pub fn open(site: &Site<'_>) -> Result<Self, PlumbingError> {
        let home = || Utf8Path::new(site.variable("HOME").unwrap_or("/root")).join(".cache/image-create");
        let base = site.variable("DIB_IMAGE_CACHE").map_or_else(home, Utf8PathBuf::from);
        let base = site.directory.join(base);
        let folder = base.join("source-repositories");
        fs::create_dir_all(&base).map_err(PlumbingError::host("make the folder", &*base))?;
        adopt(&base.join("repository-sources"), &folder, site)?;
        fs::create_dir_all(&folder).map_err(PlumbingError::host("make the folder", &*folder))?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Where the source is cached. What an old DIB cached is renamed.
    pub fn place(&self, source: &Source, site: &Site<'_>) -> Result<Utf8PathBuf, PlumbingError> {
        let text = format!("{}_{}\n", source.kind, source.location);
        let digest: String = Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{}_{digest}", source.plain_name()));
        adopt(&self.folder.join(digest), &path, site)?;
        Ok(path)
    }

    /// Waits until nobody else works in the cache. Held until dropped.
    pub fn lock(&self, site: &Site<'_>, file: &Utf8Path) -> Result<File, PlumbingError> {
        let path = self.folder.join("repositories_flock");
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.map_err(PlumbingError::host("open", &*path))?;
        site.events.output(format!("Getting {path} for {file}"));
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(100))
                }
                Err(TryLockError::WouldBlock) => {
                    let text = format!("Did not get {path} within {} s: another build holds it", PATIENCE.as_secs());
                    return Err(PlumbingError::wrong(text));
                }
                Err(TryLockError::Error(error)) => return Err(PlumbingError::host("lock", &*path)(error)),
            }
        }
    }
}

/// Gives what is at `old` the name `new`, unless that is taken.
fn adopt(old: &Utf8Path, new: &Utf8Path, site: &Site<'_>) -> Result<(), PlumbingError> {
    if old.symlink_metadata().is_err() {
        return Ok(());
    }
    if new.symlink_metadata().is_ok() {
        site.events.output("Not replacing new cache location with old cache");
        return Ok(());
    }
    fs::rename(old, new).map_err(PlumbingError::host("rename", old))
}
