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
