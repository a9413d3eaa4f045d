//! The name servers of the host, lent to the tree while it is built.
//!
//! In: the tree. Out: `/etc/resolv.conf` with the host's content; the image's own waits as `/etc/resolv.conf.ORIG`, which elements
//! may change: it is part of DIB's interface. At the end the image's own comes back; a link or a file that was made immutable in
//! the meantime stays. Not here: name servers of commands of the program's own (`sandbox::chroot`).

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::HookError;
use crate::sandbox::host;

/// What stands in the file when the host has none.
const FALLBACK: &str = "nameserver 8.8.8.8\n";

/// The note in the build folder that the file was immutable.
const NOTE: &str = "states/name-servers-stay";

/// Lends the host's name servers to `tree`.
///
/// # Errors
/// A file cannot be written.
pub fn lend(tree: &Utf8Path) -> Result<(), HookError> {
    let Some((file, original)) = files(tree) else { return Ok(()) };
    let host = fs::read("/etc/resolv.conf").unwrap_or_else(|_| FALLBACK.into());
    let moved = if file.symlink_metadata().is_ok() { fs::rename(&file, &original) } else { Ok(()) };
    moved.and_then(|()| fs::write(&file, host)).map_err(HookError::file("write", &file))
}

/// Notes in the folder `build` that a hook made the file immutable: layers do not hold that flag, `build` is part of them.
///
/// # Errors
/// The note cannot be written.
pub fn note_immutable(tree: &Utf8Path, build: &Utf8Path) -> Result<(), HookError> {
    if !files(tree).is_some_and(|(file, _)| host::is_immutable(&file)) {
        return Ok(());
    }
    let note = build.join(NOTE);
    fs::create_dir_all(build.join("states"))
        .and_then(|()| fs::write(&note, ""))
        .map_err(HookError::file("write", &note))
}

/// Takes them back, from the tree whose hooks had `build` as their folder.
///
/// # Errors
/// A file cannot be written.
pub fn take_back(tree: &Utf8Path, build: &Utf8Path) -> Result<(), HookError> {
    let Some((file, original)) = files(tree) else { return Ok(()) };
    let kept = file.is_symlink() || host::is_immutable(&file) || build.join(NOTE).exists();
    let gone = |path: &Utf8Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let result = match (kept, original.symlink_metadata().is_ok()) {
        (true, _) => gone(&original),
        (false, true) => fs::rename(&original, &file),
        (false, false) => gone(&file),
    };
    result.map_err(HookError::file("write", &file))
}

/// The two files; nothing in a tree without an `/etc` of its own.
fn files(tree: &Utf8Path) -> Option<(Utf8PathBuf, Utf8PathBuf)> {
    let etc = tree.join("etc");
    let is_folder = etc.symlink_metadata().is_ok_and(|data| data.is_dir());
    is_folder.then(|| (etc.join("resolv.conf"), etc.join("resolv.conf.ORIG")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let tree = Utf8PathBuf::from_path_buf(temp.path().to_owned()).unwrap();
        fs::create_dir(tree.join("etc")).unwrap();
        (temp, tree)
    }

    #[test]
    fn the_images_own_file_waits_and_comes_back_as_elements_left_it() {
        let (_temp, tree) = tree();
        let (file, original) = files(&tree).unwrap();
        symlink("../run/resolve", &file).unwrap();
        lend(&tree).unwrap();
        assert_eq!(fs::read(&file).unwrap(), fs::read("/etc/resolv.conf").unwrap_or_else(|_| FALLBACK.into()));
        assert!(original.is_symlink());
        fs::remove_file(&original).unwrap();
        fs::write(&original, "nameserver 192.0.2.1\n").unwrap();
        take_back(&tree, &tree).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 192.0.2.1\n");
        assert!(original.symlink_metadata().is_err());
    }

    #[test]
    fn without_a_file_of_its_own_the_image_ends_without_one_unless_a_link_was_made() {
        let (_temp, tree) = tree();
        let (file, original) = files(&tree).unwrap();
        lend(&tree).unwrap();
        fs::write(&file, "an element wrote this").unwrap();
        take_back(&tree, &tree).unwrap();
        assert!(file.symlink_metadata().is_err());
        fs::write(&file, "own").unwrap();
        lend(&tree).unwrap();
        fs::remove_file(&file).unwrap();
        symlink("/run/stub", &file).unwrap();
        take_back(&tree, &tree).unwrap();
        assert_eq!(fs::read_link(&file).unwrap().to_str(), Some("/run/stub"));
        assert!(original.symlink_metadata().is_err());
    }
}
