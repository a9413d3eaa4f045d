//! Paths inside the tree.

use camino::{Utf8Path, Utf8PathBuf};

use super::DiskError;

/// The host's path of `point` in `tree`.
pub(in crate::disk) fn inside(tree: &Utf8Path, point: &str) -> Utf8PathBuf {
    match point.trim_start_matches('/') {
        "" => tree.to_owned(),
        below => tree.join(below),
    }
}

/// Makes the folder of a mount point where it is missing. A link on the way could lead to the host, so it is refused.
pub(in crate::disk) fn make_mount_point(tree: &Utf8Path, point: &str) -> Result<(), DiskError> {
    let mut path = tree.to_owned();
    for part in point.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(DiskError::NotAFolder { point: point.to_owned(), path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir(&path).map_err(DiskError::io("create the mount point", &path))?;
            }
            Err(error) => return Err(DiskError::io("look at the mount point", &path)(error)),
        }
    }
    Ok(())
}

/// Writes the file `name` of the image's folder `folder`, which is made when it is missing. Made beside and renamed: a link that an
/// element put there is replaced, not followed.
pub(super) fn put(tree: &Utf8Path, folder: &str, name: &str, text: &str) -> Result<(), DiskError> {
    make_mount_point(tree, folder)?;
    let folder = inside(tree, folder);
    let (unfinished, path) = (folder.join(format!(".{name}.kiln")), folder.join(name));
    let written = std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &path));
    written.map_err(DiskError::io("write", &path))
}
