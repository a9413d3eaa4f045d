//! What a step wrote, as a hash of content.
//!
//! In: the upper folder of an overlay. Out: BLAKE3 over names, kinds, modes, owners and contents, without time
//! stamps: a step that writes the same again has changed nothing for the steps above it. Not here: what hashes are used for.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use camino::Utf8Path;

/// A hash of the layer in `folder`, lower-case hex.
///
/// # Errors
/// When a file cannot be read.
pub fn of_layer(folder: &Utf8Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().min_depth(1) {
        let entry = entry?;
        let data = fs::symlink_metadata(entry.path())?;
        let kind = data.file_type();
        let content = if kind.is_file() {
            let mut content = blake3::Hasher::new();
            content.update_reader(fs::File::open(entry.path())?)?;
            content.finalize().as_bytes().to_vec()
        } else if kind.is_symlink() {
            fs::read_link(entry.path())?.into_os_string().into_encoded_bytes()
        } else if kind.is_char_device() || kind.is_block_device() {
            // An overlay's whiteout is a device too: number 0.
            data.rdev().to_le_bytes().to_vec()
        } else {
            Vec::new()
        };
        let attributes = format!("{:o} {} {}", data.mode(), data.uid(), data.gid());
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).as_os_str().as_encoded_bytes();
        for part in [name, attributes.as_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn times_do_not_count_and_everything_else_does() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(temp.path()).unwrap();
        fs::create_dir(folder.join("d")).unwrap();
        fs::write(folder.join("d/f"), "x").unwrap();
        let one = of_layer(folder).unwrap();
        let file = fs::File::options().append(true).open(folder.join("d/f")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(of_layer(folder).unwrap(), one);
        fs::set_permissions(folder.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
        let two = of_layer(folder).unwrap();
        fs::write(folder.join("d/f"), "y").unwrap();
        let three = of_layer(folder).unwrap();
        std::os::unix::fs::symlink("f", folder.join("d/l")).unwrap();
        let four = of_layer(folder).unwrap();
        let all: std::collections::BTreeSet<_> = [one, two, three, four].into();
        assert_eq!(all.len(), 4);
    }
}
