//! What an element's scripts can see outside the image, as a hash: its folder, and what it may read of the host.
//!
//! In: an element. Out: BLAKE3 over names, modes and contents. Looked at when planning, and again by the builder around each
//! script: what was planned is what runs.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use camino::Utf8Path;

use super::PlannedElement;

/// Links that lead to folders are followed this far; deeper they are a ring.
const LINK_DEPTH: usize = 8;

/// A hash of all that scripts of `element` can see outside the image, lower-case hex.
///
/// # Errors
/// When a file cannot be read; the text names it.
pub fn seen(element: &PlannedElement) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(folder_hash(&element.directory, 0)?.as_bytes());
    for path in element.permissions.iter().filter_map(|grant| grant.strip_prefix("read-host:")) {
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
        hasher.update(host_hash(Utf8Path::new(path))?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A hash of what is at `path` on the host. Folders of the kernel have no content that could be hashed, and the whole host has
/// too much: grants of them are refused.
fn host_hash(path: &Utf8Path) -> io::Result<String> {
    let refused = ["/", "/proc", "/sys", "/dev", "/run"];
    if refused.iter().any(|folder| path == *folder || (*folder != "/" && path.starts_with(folder))) {
        let text = format!("`read-host:{path}` cannot be granted: name the files that are needed");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => folder_hash(path, 0),
        Ok(data) if data.is_file() => Ok(blake3::hash(&read(path.as_std_path())?).to_hex().to_string()),
        _ => Ok("absent".to_owned()),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// A hash over everything below `folder`, in the order of names.
fn folder_hash(folder: &Utf8Path, depth: usize) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().min_depth(1).same_file_system(true) {
        let entry = entry?;
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let data = entry.metadata()?;
        let content = if data.is_file() {
            read(entry.path())?
        } else if data.is_symlink() {
            linked(entry.path(), depth)?
        } else {
            Vec::new()
        };
        for part in [name.as_os_str().as_encoded_bytes(), &data.permissions().mode().to_le_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Where a link says it leads, and what is there: a script that reads through it sees that.
fn linked(link: &Path, depth: usize) -> io::Result<Vec<u8>> {
    let mut content = fs::read_link(link)?.into_os_string().into_encoded_bytes();
    match (fs::metadata(link), Utf8Path::from_path(link)) {
        (Ok(data), _) if data.is_file() => content.extend(read(link)?),
        (Ok(data), Some(link)) if data.is_dir() && depth < LINK_DEPTH => {
            content.extend(folder_hash(link, depth + 1)?.into_bytes());
        }
        _ => {}
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_hash_changes_with_names_modes_contents_and_what_links_lead_to() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Utf8Path::from_path(inside.path()).unwrap();
        let mut all = std::collections::BTreeSet::new();
        let mut look = || assert!(all.insert(folder_hash(folder, 0).unwrap()), "the hash did not change");
        look();
        fs::write(folder.join("a"), "x").unwrap();
        look();
        fs::write(folder.join("a"), "y").unwrap();
        look();
        fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        look();
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        look();
        symlink("b", folder.join("c")).unwrap();
        look();
        symlink(outside.path(), folder.join("d")).unwrap();
        look();
        fs::write(outside.path().join("read through the link"), "x").unwrap();
        look();
        symlink(".", folder.join("ring")).unwrap();
        assert_eq!(folder_hash(folder, 7).unwrap(), folder_hash(folder, 7).unwrap());
    }

    #[test]
    fn a_file_of_the_host_counts_and_a_grant_of_everything_is_refused() {
        let host = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(host.path()).unwrap().join("key");
        let mut element = PlannedElement {
            name: "x".into(),
            directory: Utf8Path::from_path(tempfile::tempdir().unwrap().path()).unwrap().to_owned(),
            permissions: vec![format!("read-host:{file}")],
            options: Default::default(),
        };
        fs::create_dir_all(&element.directory).unwrap();
        let absent = seen(&element).unwrap();
        fs::write(&file, "one").unwrap();
        let one = seen(&element).unwrap();
        fs::write(&file, "two").unwrap();
        assert!(absent != one && one != seen(&element).unwrap());
        for everything in ["/", "/proc/self"] {
            element.permissions = vec![format!("read-host:{everything}")];
            assert!(seen(&element).unwrap_err().to_string().contains("cannot be granted"));
        }
        fs::remove_dir_all(&element.directory).unwrap();
    }
}
