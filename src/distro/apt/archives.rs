//! The folder in which one run of the image's apt-get finds and leaves archives.
//!
//! In: the store, what apt-get says it wants (`--print-uris`, apt-get(8)). Out: a folder of this run alone, filled with copies of
//! what the store has; afterwards the store has what apt-get fetched. apt-get believes an archive whose size is right, and scripts
//! of packages may write to the folder: only bytes whose digest the image's signed lists name come in or go out, and never the
//! store's own file. Not here: running apt-get.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::digest;
use crate::store::Store;
use crate::store::packages::sha256;

/// An archive that apt-get wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its file's name in the folder.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest in lower-case hex.
    pub sha256: String,
}

/// The lines `'URI' FILE SIZE SHA256:DIGEST` of apt-get's `--print-uris`; what has no such digest is left out.
pub fn printed(text: &str) -> Vec<Wanted> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Wanted> {
    let mut words = line.strip_prefix('\'')?.split_once("' ")?.1.split_whitespace();
    let (file, size, hash) = (words.next()?, words.next()?, words.next()?);
    let sha256 = digest(hash.strip_prefix("SHA256:")?)?;
    let plain = !file.starts_with('.') && !file.contains('/') && file.ends_with(".deb");
    plain.then_some(Wanted { file: file.to_owned(), size: size.parse().ok()?, sha256 })
}

/// The folder of one run; it goes when this is dropped.
#[derive(Debug)]
pub struct Archives {
    folder: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Archives {
    /// An empty folder beside the tree `root`: in the build's own folder, so that a build that is killed takes it along.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(root: &Utf8Path) -> io::Result<Self> {
        let parent = root.parent().unwrap_or(root);
        let folder = tempfile::Builder::new().prefix("archives-").tempdir_in(parent)?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the store's path is not UTF-8"))?;
        std::fs::create_dir(path.join("partial"))?;
        Ok(Self { folder, path })
    }

    /// The folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Puts in what the store has. What cannot be put in is fetched by apt-get, so that nothing here is an error.
    pub fn fill(&self, store: &Store, wanted: &[Wanted]) {
        for archive in wanted {
            // A copy, because a link would let scripts write to the store's file.
            let Ok(bytes) = std::fs::read(store.package_path(&archive.sha256)) else { continue };
            if sha256(&bytes) != archive.sha256 {
                store.forget_package(&archive.sha256);
            } else if std::fs::write(self.path.join(&archive.file), &bytes).is_err() {
                let _ = std::fs::remove_file(self.path.join(&archive.file));
            }
        }
    }

    /// Takes into the store what it does not have yet. What cannot be kept is fetched again one day.
    pub fn keep(&self, store: &Store, wanted: &[Wanted]) {
        for archive in wanted.iter().filter(|archive| !store.has_package(&archive.sha256)) {
            if let Some(bytes) = self.read(archive) {
                let _ = store.keep_package(&archive.sha256, &bytes);
            }
        }
    }

    /// The bytes of an archive, when they are what was wanted. A script may have put a link or a pipe there.
    fn read(&self, archive: &Wanted) -> Option<Vec<u8>> {
        let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
        let open =
            OpenOptions::new().read(true).custom_flags(flags.bits()).open(self.folder.path().join(&archive.file));
        let file: File = open.ok()?;
        let data = file.metadata().ok()?;
        if !data.is_file() || data.len() != archive.size {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(archive.size).read_to_end(&mut bytes).ok()?;
        (sha256(&bytes) == archive.sha256).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(file: &str, content: &[u8]) -> Wanted {
        Wanted { file: file.into(), size: content.len() as u64, sha256: sha256(content) }
    }

    #[test]
    fn printed_lines_are_read_and_those_without_a_usable_digest_or_name_are_not() {
        let hash = "AB".repeat(32);
        let text = format!(
            "'http://m.example/debian/pool/a.deb' a_1%3a1_amd64.deb 7 SHA256:{hash}\n\
             'http://m.example/b.deb' b.deb 7 MD5Sum:00\n'http://m.example/c' ../c.deb 7 SHA256:{hash}\nNote: x\n"
        );
        assert_eq!(printed(&text), [Wanted { file: "a_1%3a1_amd64.deb".into(), size: 7, sha256: hash.to_lowercase() }]);
    }

    #[test]
    fn what_a_script_plants_or_changes_reaches_neither_the_store_nor_another_run() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        let (good, known) = (wanted("good.deb", b"good"), wanted("known.deb", b"known"));
        store.keep_package(&known.sha256, b"known").unwrap();
        let first = Archives::new(&store.root().join("root")).unwrap();
        let all = [good.clone(), known.clone(), wanted("forged.deb", b"right"), wanted("link.deb", b"secret")];
        first.fill(&store, &all);
        assert_eq!(std::fs::read(first.path().join("known.deb")).unwrap(), b"known");
        std::fs::write(first.path().join("known.deb"), b"other").unwrap();
        std::fs::write(first.path().join("good.deb"), b"good").unwrap();
        std::fs::write(first.path().join("forged.deb"), b"wrong").unwrap();
        std::fs::write(folder.path().join("secret"), b"secret").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), first.path().join("link.deb")).unwrap();
        first.keep(&store, &all);
        let kept: Vec<bool> = all.iter().map(|archive| store.has_package(&archive.sha256)).collect();
        assert_eq!(kept, [true, true, false, false]);
        assert_eq!(std::fs::read(store.package_path(&known.sha256)).unwrap(), b"known");
        let second = Archives::new(&store.root().join("root")).unwrap();
        assert_ne!(second.path(), first.path());
        second.fill(&store, &all);
        assert!(!second.path().join("forged.deb").exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_rotted_in_the_store_is_not_handed_to_apt_get() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        let archive = wanted("a.deb", b"right");
        store.keep_package(&archive.sha256, b"wrong").unwrap();
        let run = Archives::new(&store.root().join("root")).unwrap();
        run.fill(&store, std::slice::from_ref(&archive));
        assert!(!run.path().join("a.deb").exists() && !store.has_package(&archive.sha256));
    }
}
