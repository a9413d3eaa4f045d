//! The program's own last changes to the tree: the file system table, and what a build leaves behind in one.
//!
//! In: a root tree. Out: the same tree with `/etc/fstab` and mount points, without the content of `/tmp`, log texts and other
//! traces of the build, as DIB leaves it. Not here: what elements clean up themselves.

use std::fs;
use std::io;

use camino::Utf8Path;

use super::error::BuildError;
use crate::disk::fstab;
use crate::disk::layout::Layout;

/// Writes `/etc/fstab` and makes the folders that file systems are mounted on.
pub fn write_fstab(root: &Utf8Path, layout: &Layout) -> Result<(), BuildError> {
    for filesystem in &layout.filesystems {
        let Some(point) = filesystem.mount_point.as_deref().filter(|point| point.starts_with('/')) else { continue };
        let folder = root.join(point.trim_start_matches('/'));
        fs::create_dir_all(&folder).map_err(BuildError::system(format!("make the mount point {point}")))?;
    }
    fs::create_dir_all(root.join("etc")).map_err(BuildError::system("make /etc"))?;
    fs::write(root.join("etc/fstab"), fstab::text(layout)).map_err(BuildError::system("write /etc/fstab"))
}

/// Takes away what a build leaves in a tree: all below `/tmp`, the texts of `/var/log`, logs below `/root`.
pub fn tidy(root: &Utf8Path) -> Result<(), BuildError> {
    empty(&root.join("tmp")).map_err(BuildError::system("empty /tmp"))?;
    for entry in walk(&root.join("var/log")) {
        if entry.file_type().is_file() && entry.metadata().is_ok_and(|data| data.len() > 0) {
            let truncated = fs::File::options().write(true).truncate(true).open(entry.path());
            truncated.map_err(BuildError::system(format!("empty {}", entry.path().display())))?;
        }
    }
    for entry in walk(&root.join("root")) {
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(entry.path()).map_err(BuildError::system(format!("remove {}", entry.path().display())))?;
        }
    }
    Ok(())
}

fn walk(folder: &Utf8Path) -> impl Iterator<Item = walkdir::DirEntry> {
    walkdir::WalkDir::new(folder).same_file_system(true).sort_by_file_name().into_iter().flatten()
}

fn empty(folder: &Utf8Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidying_spares_links_and_what_is_no_trace_of_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for path in ["tmp/.hidden", "var/log/apt", "root/work"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for file in ["tmp/.hidden/file", "var/log/apt/term.log", "root/work/pip.log", "root/.profile"] {
            fs::write(root.join(file), "text").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("var/log/link")).unwrap();
        tidy(root).unwrap();
        assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0);
        assert_eq!(fs::read(root.join("var/log/apt/term.log")).unwrap(), b"");
        assert!(!root.join("root/work/pip.log").exists());
        assert_eq!(fs::read(root.join("root/.profile")).unwrap(), b"text");
        assert!(root.join("var/log/link").is_symlink());
    }

    #[test]
    fn a_tree_without_the_usual_folders_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        tidy(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
    }
}
