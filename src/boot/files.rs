//! Writing a loader's files into the tree, never outside it.
//!
//! In: the tree's path on the host and paths inside it. Out: folders and files. A symbolic link on the way is refused, since
//! on the host it would lead elsewhere than in the image.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BootError;

/// The folder `inside` of the tree at `root` as a host path, made when it is missing (mode 0755).
pub(super) fn folder(root: &Utf8Path, inside: &str) -> Result<Utf8PathBuf, BootError> {
    let mut path = root.to_owned();
    for part in inside.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(BootError::NotAFolder { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().mode(0o755).create(&path).map_err(BootError::file("make the folder", &path))?;
            }
            Err(error) => return Err(BootError::file("look at", &path)(error)),
        }
    }
    Ok(path)
}

/// Replaces the file `path` (in a folder from [`folder`]); mode 0644.
pub(super) fn write(path: &Utf8Path, content: &[u8]) -> Result<(), BootError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(BootError::file("replace", path)(error)),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(BootError::file("write", path))
}

/// Copies the file `from` to `to` as [`write()`] writes it.
pub(super) fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), BootError> {
    write(to, &read(from)?)
}

/// The content of a file that is no symbolic link.
pub(super) fn read(path: &Utf8Path) -> Result<Vec<u8>, BootError> {
    let attempt = "read";
    if is_file(path) {
        return fs::read(path).map_err(BootError::file(attempt, path));
    }
    Err(BootError::file(attempt, path)(io::Error::new(io::ErrorKind::NotFound, "no such regular file")))
}

/// The text of the file `inside` of the tree at `root`; empty when it is not there or no regular file.
pub(super) fn read_maybe(root: &Utf8Path, inside: &str) -> Result<String, BootError> {
    let path = root.join(inside.trim_start_matches('/'));
    let text = if is_file(&path) { read(&path)? } else { Vec::new() };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether a regular file is there.
pub(super) fn is_file(path: &Utf8Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The names in a folder, sorted; none when there is no such folder. Names that are not UTF-8 are left out.
pub(super) fn names(folder: &Utf8Path) -> Result<Vec<String>, BootError> {
    let entries = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BootError::file("list", folder))?,
    };
    let mut names: Vec<String> = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned())).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_on_the_way_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        let tree = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.path().join("boot")).unwrap();
        let root = Utf8Path::from_path(tree.path()).unwrap();
        assert!(matches!(folder(root, "boot/grub"), Err(BootError::NotAFolder { .. })));
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced() {
        let tree = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(tree.path()).unwrap();
        let grub = folder(root, "/boot/grub").unwrap();
        std::os::unix::fs::symlink("../../victim", grub.join("grubenv")).unwrap();
        write(&grub.join("grubenv"), b"x").unwrap();
        assert_eq!(read(&grub.join("grubenv")).unwrap(), b"x");
        assert!(!root.join("victim").exists());
    }
}
