//! kiln's own elements and its shell library as folders.
//!
//! In: the files that were embedded when kiln was built. Out: a folder in the store that holds them, named after their content,
//! so that two versions of kiln do not disturb each other. Not here: what the files mean (`element/`, `stdlib/shell`).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The folder of kiln's own elements below the store at `root`, made when it is not there.
///
/// # Errors
/// When the store cannot be written.
pub fn elements(root: &Utf8Path) -> io::Result<Utf8PathBuf> {
    unpacked(ELEMENTS, &root.join("elements"))
}

/// The folder that shell hooks know as `$_LIB`, below the store at `root`, made when it is not there.
///
/// # Errors
/// When the store cannot be written.
pub fn shell_library(root: &Utf8Path) -> io::Result<Utf8PathBuf> {
    unpacked(SHELL, &root.join("shell"))
}

/// A folder in `parent` that holds `files`, each given by path, mode and content.
fn unpacked(files: &[(&str, u32, &[u8])], parent: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let mut hasher = blake3::Hasher::new();
    for (name, mode, content) in files {
        hasher.update(name.as_bytes()).update(&mode.to_le_bytes()).update(&(content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    let folder = parent.join(&hasher.finalize().to_hex()[..16]);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(parent)?;
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(parent)?;
    for (name, mode, content) in files {
        let path = unfinished.path().join(name);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(*mode))?;
    }
    fs::set_permissions(unfinished.path(), Permissions::from_mode(0o755))?;
    // Another kiln may have been faster; its folder is the same.
    match fs::rename(unfinished.path(), &folder) {
        Ok(()) => drop(unfinished.keep()),
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_made_once_and_holds_every_element() {
        let store = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(store.path()).unwrap();
        let folder = elements(root).unwrap();
        assert_eq!(elements(root).unwrap(), folder);
        assert!(folder.join("vm/element.rhai").is_file());
        assert_eq!(fs::read_dir(root.join("elements")).unwrap().count(), 1);
    }

    #[test]
    fn the_shell_library_has_its_files_with_their_modes() {
        let store = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(store.path()).unwrap();
        let folder = shell_library(root).unwrap();
        assert_eq!(shell_library(root).unwrap(), folder);
        let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        for program in ["dib-run-parts", "disk-image-create", "bin/sudo", "python/python", "element-info.py"] {
            assert_eq!(mode(program), 0o755, "{program}");
        }
        for sourced in ["die", "common-functions", "python/diskimage_builder/__init__.py"] {
            assert_eq!(mode(sourced), 0o644, "{sourced}");
        }
    }
}
