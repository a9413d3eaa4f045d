//! The program's own last changes to the tree: the file system table, and what a build leaves behind in one.
//!
//! In: a root tree. Out: the same tree with `/etc/fstab` and mount points, without the content of `/tmp`, log texts and other
//! traces of the build, as DIB leaves it. Not here: what elements clean up themselves.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use crate::disk::layout::Layout;
use crate::disk::{crypttab, fstab, verity_scripts};

/// Writes `/etc/fstab` and makes the folders that file systems are mounted on.
pub fn write_fstab(root: &Utf8Path, layout: &Layout) -> Result<(), BuildError> {
    for mounted in layout.mounts().iter().filter(|mounted| mounted.point.starts_with('/')) {
        let point = mounted.point;
        make_folder(root, point).map_err(BuildError::system(format!("make the mount point {point}")))?;
    }
    let etc = make_folder(root, "/etc").map_err(BuildError::system("make /etc"))?;
    replace(&etc, "fstab", &fstab::text(layout))?;
    if verity_scripts::are_needed(layout) {
        write_verity_scripts(root)?;
    }
    if layout.luks.is_empty() { Ok(()) } else { write_crypttab(root, &etc, layout) }
}

/// Writes the file `name` of the image's folder `folder`. Made beside and renamed: a link that an element put there is replaced, not
/// followed.
fn replace(folder: &Utf8Path, name: &str, text: &str) -> Result<(), BuildError> {
    let unfinished = folder.join(format!(".{name}.kiln"));
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, folder.join(name)));
    written.map_err(BuildError::system(format!("write {name} in {folder}")))
}

/// Writes `/etc/crypttab`, and lets Debian's initramfs take the key files that the image has. Whoever reads the initramfs then has
/// them, so it is made for root's eyes only.
fn write_crypttab(root: &Utf8Path, etc: &Utf8Path, layout: &Layout) -> Result<(), BuildError> {
    let has_key = |name: &str| root.join(crypttab::key_file(name).trim_start_matches('/')).is_file();
    replace(etc, "crypttab", &crypttab::text(layout, has_key))?;
    if !layout.luks.iter().any(|container| has_key(&container.name)) {
        return Ok(());
    }
    let folder = |path: &str| make_folder(root, path).map_err(BuildError::system(format!("make {path}")));
    let pattern = format!("KEYFILE_PATTERN=\"{}\"\n", crypttab::key_file("*"));
    replace(&folder("/etc/cryptsetup-initramfs")?, "conf-hook", &pattern)?;
    replace(&folder("/etc/initramfs-tools/conf.d")?, "kiln-keys", "UMASK=0077\n")
}

/// Lets Debian's initramfs open verified devices. Where another generator makes the initramfs, nobody reads these files.
fn write_verity_scripts(root: &Utf8Path) -> Result<(), BuildError> {
    for (path, text) in verity_scripts::SCRIPTS {
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let folder = make_folder(root, above).map_err(BuildError::system(format!("make {above}")))?;
        replace(&folder, name, text)?;
        let executable = fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755));
        executable.map_err(BuildError::system(format!("make {path} executable")))?;
    }
    Ok(())
}

/// The folder `inside` of the tree, made when it is not there. Links are refused: on the host they lead out of the tree.
fn make_folder(root: &Utf8Path, inside: &str) -> io::Result<Utf8PathBuf> {
    let mut path = root.to_owned();
    for part in inside.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("/{part} in it is no folder"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&path)?,
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

/// The folder `inside` of the tree, when it and all above it are folders and no links.
fn folder(root: &Utf8Path, inside: &str) -> Option<Utf8PathBuf> {
    let mut path = root.to_owned();
    for part in inside.split('/') {
        path.push(part);
        fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_dir)?;
    }
    Some(path)
}

/// Takes away what a build leaves in a tree: all below `/tmp`, the texts of `/var/log`, logs below `/root`.
pub fn tidy(root: &Utf8Path) -> Result<(), BuildError> {
    if let Some(tmp) = folder(root, "tmp") {
        empty(&tmp).map_err(BuildError::system("empty /tmp"))?;
    }
    for entry in folder(root, "var/log").iter().flat_map(|log| walk(log)) {
        if entry.file_type().is_file() && entry.metadata().is_ok_and(|data| data.len() > 0) {
            let truncated = fs::File::options().write(true).truncate(true).open(entry.path());
            truncated.map_err(BuildError::system(format!("empty {}", entry.path().display())))?;
        }
    }
    for entry in folder(root, "root").iter().flat_map(|home| walk(home)) {
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
    for entry in fs::read_dir(folder)? {
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
    fn a_container_is_opened_with_the_key_that_the_image_has() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let container = crate::disk::layout::Luks {
            name: "hidden".into(),
            device: crate::disk::layout::Device::Disk { disk: "image0".into() },
            uuid: uuid::Uuid::from_u128(1),
            label: String::new(),
            header: 16 << 20,
            size: 1 << 30,
            cipher: "aes-xts-plain64".into(),
            key_bits: 512,
            sector_size: 512,
            secret: "disk".into(),
        };
        let layout = Layout { luks: vec![container], ..Layout::default() };
        write_fstab(root, &layout).unwrap();
        assert!(fs::read_to_string(root.join("etc/crypttab")).unwrap().contains(" none "));
        assert!(!root.join("etc/cryptsetup-initramfs").exists());
        fs::create_dir(root.join("etc/cryptsetup-keys.d")).unwrap();
        fs::write(root.join("etc/cryptsetup-keys.d/hidden.key"), "key").unwrap();
        write_fstab(root, &layout).unwrap();
        assert!(fs::read_to_string(root.join("etc/crypttab")).unwrap().contains(" /etc/cryptsetup-keys.d/hidden.key "));
        let pattern = fs::read_to_string(root.join("etc/cryptsetup-initramfs/conf-hook")).unwrap();
        assert_eq!(pattern, "KEYFILE_PATTERN=\"/etc/cryptsetup-keys.d/*.key\"\n");
    }

    #[test]
    fn the_scripts_that_open_a_verified_root_are_executable() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        write_verity_scripts(root).unwrap();
        for (path, text) in verity_scripts::SCRIPTS {
            let path = root.join(path.trim_start_matches('/'));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        }
    }

    #[test]
    fn folders_that_are_links_are_left_alone() {
        let (inside, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = Utf8Path::from_path(inside.path()).unwrap();
        fs::write(host.path().join("build.log"), "the host's").unwrap();
        fs::create_dir(root.join("var")).unwrap();
        for link in ["tmp", "var/log", "root"] {
            std::os::unix::fs::symlink(host.path(), root.join(link)).unwrap();
        }
        tidy(root).unwrap();
        assert_eq!(fs::read(host.path().join("build.log")).unwrap(), b"the host's");
        std::os::unix::fs::symlink(host.path(), root.join("etc")).unwrap();
        assert!(make_folder(root, "/etc").is_err());
        assert!(make_folder(root, "/boot/efi").unwrap().is_dir());
    }

    #[test]
    fn a_tree_without_the_usual_folders_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        tidy(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
    }
}
