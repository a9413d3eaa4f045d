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

/// Makes the whole of what is there, and once more from the start when what was there is not a part of it: it may be from
/// another mirror, or the file has changed.
fn complete(
    file: &mut File,
    fetcher: &Fetcher,
    url: &str,
    sha256: &str,
    size: Option<u64>,
    progress: &dyn Fn(u64),
) -> Result<(), StoreError> {
    let resumed = file.metadata().is_ok_and(|data| data.len() > 0);
    match append(file, fetcher, url, sha256, size, progress) {
        Err(StoreError::Digest { .. } | StoreError::Size { .. }) if resumed => {
            append(file, fetcher, url, sha256, size, progress)
        }
        other => other,
    }
}

/// Appends what is missing and verifies the whole; empties the file when that is wrong.
fn append(
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    fn store(folder: &tempfile::TempDir) -> (Store, Fetcher) {
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        (store, Fetcher::new(&BTreeMap::new()).unwrap())
    }

    fn left(store: &Store) -> usize {
        walkdir::WalkDir::new(store.root())
            .into_iter()
            .filter(|entry| entry.as_ref().unwrap().file_type().is_file())
            .count()
    }

    #[test]
    fn a_local_file_is_kept_once_and_wrong_ones_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, fetcher) = store(&folder);
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), b"content").unwrap();
        let url = format!("file://{}", source.path().display());
        let digest = sha256(b"content");
        let wrong = store.fetch(&fetcher, std::slice::from_ref(&url), &sha256(b"other"), Some(7), &|_| {}).unwrap_err();
        assert!(matches!(&wrong, StoreError::Digest { url: named, .. } if *named == url), "{wrong}");
        let short = store.fetch(&fetcher, std::slice::from_ref(&url), &digest, Some(9), &|_| {}).unwrap_err();
        assert!(matches!(short, StoreError::Size { expected: 9, found: 7, .. }), "{short}");
        let missing = ["copy:/nonexistent/file".to_owned()];
        assert!(store.fetch(&fetcher, &missing, &digest, None, &|_| {}).unwrap_err().is_missing());
        assert_eq!(left(&store), 0);
        let urls = [missing[0].clone(), url];
        let path = store.fetch(&fetcher, &urls, &digest, Some(7), &|_| {}).unwrap();
        std::fs::remove_file(source.path()).unwrap();
        assert_eq!(store.fetch(&fetcher, &urls, &digest, Some(7), &|_| {}).unwrap(), path);
        assert_eq!(left(&store), 1);
    }

    /// Answers each connection with the next of `answers`; gives back the requests' Range headers.
    fn serve(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut ranges = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let range = head.iter().find(|line| line.to_lowercase().starts_with("range:"));
                ranges.push(range.map(|line| line.to_lowercase()).unwrap_or_default());
                stream.write_all(&answer).unwrap();
            }
            ranges
        });
        (url, thread)
    }

    #[test]
    fn a_broken_download_goes_on_where_it_broke() {
        let folder = tempfile::tempdir().unwrap();
        let (store, fetcher) = store(&folder);
        let (url, server) = serve(vec![
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123".to_vec(),
            b"HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nConnection: close\r\n\r\n456789".to_vec(),
        ]);
        let path = store.fetch(&fetcher, &[url], &sha256(b"0123456789"), Some(10), &|_| {}).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"0123456789");
        assert_eq!(server.join().unwrap(), ["", "range: bytes=4-"]);
    }

    #[test]
    fn a_part_that_does_not_belong_to_the_rest_is_fetched_again_from_the_start() {
        let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123".to_vec();
        let part = |range: &str| {
            let head = "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nConnection: close\r\n";
            format!("{head}{range}\r\nxxxxxx").into_bytes()
        };
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789".to_vec();
        for range in ["", "Content-Range: bytes 2-7/10\r\n"] {
            let folder = tempfile::tempdir().unwrap();
            let (store, fetcher) = store(&folder);
            let (url, server) = serve(vec![broken.clone(), part(range), whole.clone()]);
            let path = store.fetch(&fetcher, &[url], &sha256(b"0123456789"), Some(10), &|_| {}).unwrap();
            assert_eq!(std::fs::read(path).unwrap(), b"0123456789");
            assert_eq!(server.join().unwrap(), ["", "range: bytes=4-", ""]);
        }
    }

    #[test]
    fn a_proxy_is_taken_from_the_variables_and_exceptions_go_around_it() {
        let (url, server) =
            serve(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".to_vec()]);
        let proxy = url.trim_end_matches("/file").to_owned();
        let variables =
            BTreeMap::from([("http_proxy".to_owned(), proxy), ("no_proxy".to_owned(), "127.0.0.1".to_owned())]);
        let fetcher = Fetcher::new(&variables).unwrap();
        assert_eq!(fetcher.bytes("http://host.invalid/x", 10).unwrap(), b"ok");
        server.join().unwrap();
        assert!(!crate::store::download::goes_through_proxy(&fetcher, "http://127.0.0.1/x"));
        let bad = BTreeMap::from([("https_proxy".to_owned(), "://".to_owned())]);
        assert!(Fetcher::new(&bad).unwrap_err().to_string().contains("https_proxy"));
        assert!(fetcher.bytes("gopher://x", 1).unwrap_err().to_string().contains("gopher"));
    }
}
