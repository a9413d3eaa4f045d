//! Files that are named by the sha256 of their content: packages and their indices.
//!
//! In: URLs and the digest that their content must have. Out: a path in the store, complete and verified. A download goes to
//! `packages/partial/DIGEST`, locked, and is renamed into place: two kiln processes never fetch the same file at once and
//! nobody sees half of one. What breaks off is resumed; what is wrong is removed. Not here: how bytes travel (`download`).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use super::download::{Fetcher, network, retry};
use super::{Store, StoreError};

/// Bytes copied at a time.
const BLOCK: usize = 256 * 1024;

impl Store {
    /// Where a file with this digest is kept, whether or not it is there.
    pub fn package_path(&self, sha256: &str) -> Utf8PathBuf {
        self.root().join("packages").join(sha256.get(..2).unwrap_or("xx")).join(sha256)
    }

    /// Whether the file is there.
    pub fn has_package(&self, sha256: &str) -> bool {
        self.package_path(sha256).exists()
    }

    /// Forgets a file that turned out to be damaged; nothing there is no error.
    pub fn forget_package(&self, sha256: &str) {
        let _ = std::fs::remove_file(self.package_path(sha256));
    }

    /// Keeps `bytes`, whose digest the caller has verified.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_package(&self, sha256: &str, bytes: &[u8]) -> Result<Utf8PathBuf, StoreError> {
        let path = self.package_path(sha256);
        let parent = path.parent().unwrap_or(self.root());
        let keep = || {
            std::fs::create_dir_all(parent)?;
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        keep().map_err(|source| StoreError::File { action: "write", path: path.clone(), source })?;
        Ok(path)
    }

    /// The file with this digest, fetched from the first of `urls` that has it unless it is kept already. `size` is its length
    /// in bytes where that is known. `progress` hears the number of new bytes, again and again.
    ///
    /// # Errors
    /// The last URL's error. Nothing wrong stays in the store.
    pub fn fetch(
        &self,
        fetcher: &Fetcher,
        urls: &[String],
        sha256: &str,
        size: Option<u64>,
        progress: &dyn Fn(u64),
    ) -> Result<Utf8PathBuf, StoreError> {
        let path = self.package_path(sha256);
        if path.exists() {
            progress(size.unwrap_or(0));
            return Ok(path);
        }
        let partial = self.folder("packages/partial")?.join(sha256);
        let error = |action, path: &Utf8Path| {
            let path = path.to_owned();
            move |source| StoreError::File { action, path, source }
        };
        let mut file = lock(&partial).map_err(error("lock", &partial))?;
        if path.exists() {
            // Another process had the lock and has finished.
            let _ = std::fs::remove_file(&partial);
            progress(size.unwrap_or(0));
            return Ok(path);
        }
        let mut failure = StoreError::Missing { url: sha256.to_owned(), status: 404 };
        for url in urls {
            match retry(|| complete(&mut file, fetcher, url, sha256, size, progress)) {
                Ok(()) => {
                    std::fs::create_dir_all(path.parent().unwrap_or(self.root())).map_err(error("make", &path))?;
                    std::fs::rename(&partial, &path).map_err(error("write", &path))?;
                    return Ok(path);
                }
                Err(other) => failure = other,
            }
        }
        // What arrived before the line broke is worth keeping; an empty or a wrong file is not.
        if file.metadata().map_or(true, |data| data.len() == 0) || !matches!(failure, StoreError::Network { .. }) {
            let _ = std::fs::remove_file(&partial);
        }
        Err(failure)
    }
}

/// Opens `path` and locks it, making sure that the name still belongs to what was locked.
fn lock(path: &Utf8Path) -> std::io::Result<Flock<File>> {
    use std::os::unix::fs::MetadataExt;
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| std::io::Error::from(errno))?;
        match path.metadata() {
            Ok(named) if named.ino() == file.metadata()?.ino() => return Ok(file),
            _ => {}
        }
    }
}

/// Appends what is missing and verifies the whole.
fn complete(
    file: &mut File,
    fetcher: &Fetcher,
    url: &str,
    sha256: &str,
    size: Option<u64>,
    progress: &dyn Fn(u64),
) -> Result<(), StoreError> {
    let broken = |source| StoreError::File { action: "write the partial download of", path: url.into(), source };
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut length = 0;
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    loop {
        let read = file.read(&mut block).map_err(broken)?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        length += read as u64;
    }
    if size.is_none_or(|size| length < size) {
        let mut body = fetcher.open(url, length)?;
        if body.offset != length {
            hash = Sha256::new();
            length = 0;
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(broken)?;
        }
        loop {
            let read = body.reader.read(&mut block).map_err(|error| network(url, &error))?;
            if read == 0 {
                break;
            }
            length += read as u64;
            if let Some(expected) = size.filter(|size| length > *size) {
                file.set_len(0).map_err(broken)?;
                return Err(StoreError::Size { url: url.to_owned(), expected, found: length });
            }
            hash.update(&block[..read]);
            file.write_all(&block[..read]).map_err(broken)?;
            progress(read as u64);
        }
    }
    if let Some(expected) = size.filter(|size| length != *size) {
        file.set_len(0).map_err(broken)?;
        return Err(StoreError::Size { url: url.to_owned(), expected, found: length });
    }
    let found = hex(&hash.finalize());
    if found != sha256 {
        file.set_len(0).map_err(broken)?;
        return Err(StoreError::Digest { url: url.to_owned(), expected: sha256.to_owned(), found });
    }
    Ok(())
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower-case hex of the sha256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
