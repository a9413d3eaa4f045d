//! The mounts of this process's namespace.
//!
//! In: `/proc/thread-self/mountinfo` (proc_pid_mountinfo(5)). Out: what is mounted below a folder, and how each of it can be mounted
//! again elsewhere. Not here: mounts of our own making (`mount`, `overlay`, `chroot`).

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    device: String,
    root: Utf8PathBuf,
    pub(super) at: Utf8PathBuf,
    options: String,
    kind: String,
    pub(super) source: String,
}

/// A mount, as it can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountEntry {
    /// Where, below the folder that was looked at.
    pub inside: Utf8PathBuf,
    /// The host's path that is shown there; without one, a file system of this kind is mounted.
    pub from: Option<Utf8PathBuf>,
    /// Kind of the file system.
    pub kind: String,
    /// What it is mounted from, as the table says.
    pub source: String,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// The table, in the order in which things were mounted.
pub(super) fn table() -> io::Result<Vec<Entry>> {
    Ok(parse(&fs::read_to_string("/proc/thread-self/mountinfo")?))
}

fn parse(text: &str) -> Vec<Entry> {
    text.lines()
        .filter_map(|line| {
            let (fields, after) = line.split_once(" - ")?;
            let fields: Vec<&str> = fields.split(' ').collect();
            let mut after = after.split(' ');
            Some(Entry {
                device: (*fields.get(2)?).to_owned(),
                root: unescape(fields.get(3)?).into(),
                at: unescape(fields.get(4)?).into(),
                options: (*fields.get(5)?).to_owned(),
                kind: after.next()?.to_owned(),
                source: unescape(after.next()?),
            })
        })
        .collect()
}

/// Blanks and backslashes stand as `\040` and the like.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(value) => {
                plain.push(value);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// What is mounted below `folder` (not on it), in the order in which it was mounted.
///
/// # Errors
/// When the table cannot be read.
pub fn below(folder: &Utf8Path) -> io::Result<Vec<MountEntry>> {
    let folder = folder.canonicalize_utf8()?;
    Ok(find(&table()?, &folder))
}

fn find(table: &[Entry], folder: &Utf8Path) -> Vec<MountEntry> {
    let is_below = |entry: &&Entry| entry.at != folder && entry.at.starts_with(folder);
    let describe = |entry: &Entry| MountEntry {
        inside: entry.at.strip_prefix(folder).unwrap_or(&entry.at).to_owned(),
        from: shown_elsewhere(table, entry, folder),
        kind: entry.kind.clone(),
        source: entry.source.clone(),
        read_only: entry.options.split(',').any(|option| option == "ro"),
    };
    table.iter().filter(is_below).map(describe).collect()
}

/// Where else the same files are seen, outside `folder`: what a bind was made from.
fn shown_elsewhere(table: &[Entry], entry: &Entry, folder: &Utf8Path) -> Option<Utf8PathBuf> {
    table
        .iter()
        .filter(|other| other.device == entry.device && !other.at.starts_with(folder))
        .filter_map(|other| {
            let rest = entry.root.strip_prefix(&other.root).ok()?;
            Some(if rest.as_str().is_empty() { other.at.clone() } else { other.at.join(rest) })
        })
        .find(|path| path.exists())
}

/// Mounts `mounted` again below `folder`. What it is to be mounted on must exist.
///
/// # Errors
/// When the kernel refuses.
pub fn again(mounted: &MountEntry, folder: &Utf8Path) -> io::Result<()> {
    let at = folder.join(&mounted.inside);
    let none = None::<&str>;
    let named = |error: nix::Error| io::Error::new(io::Error::from(error).kind(), format!("{at}: {error}"));
    match &mounted.from {
        Some(from) => {
            mount(Some(from.as_str()), at.as_str(), none, MsFlags::MS_BIND | MsFlags::MS_REC, none).map_err(named)?;
            if mounted.read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                mount(none, at.as_str(), none, flags, none).map_err(named)?;
            }
        }
        None => {
            let flags = if mounted.read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
            let (source, kind) = (mounted.source.as_str(), mounted.kind.as_str());
            mount(Some(source), at.as_str(), Some(kind), flags, none).map_err(named)?;
        }
    }
    Ok(())
}

/// Takes away every mount below `folder`, the latest first. What is still used stays until it is not.
///
/// # Errors
/// When the table cannot be read.
pub fn clear_below(folder: &Utf8Path) -> io::Result<()> {
    let folder = folder.canonicalize_utf8()?;
    for entry in table()?.iter().rev().filter(|entry| entry.at != folder && entry.at.starts_with(&folder)) {
        let _ = umount2(entry.at.as_std_path(), MntFlags::MNT_DETACH);
    }
    Ok(())
}

/// Takes away what [`kernel_file_systems`] mounted, and what was mounted below.
///
/// # Errors
/// When the table cannot be read.
pub fn clear_kernel_file_systems(root: &Utf8Path) -> io::Result<()> {
    for folder in ["proc", "dev", "sys"].map(|name| root.join(name)) {
        if folder.is_dir() {
            clear_below(&folder)?;
            // Not mounted is as good.
            let _ = umount2(folder.as_std_path(), MntFlags::MNT_DETACH);
        }
    }
    Ok(())
}

/// Shows the kernel's own file systems in the tree at `root`, as hooks of the host side expect them there: `proc`, `dev` with
/// its terminals, and `sys`, which cannot be written. Folders that are missing are made.
///
/// # Errors
/// When the kernel refuses.
pub fn kernel_file_systems(root: &Utf8Path) -> io::Result<()> {
    for folder in ["proc", "dev", "sys"] {
        match fs::create_dir(root.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    let none = None::<&str>;
    mount(Some("proc"), root.join("proc").as_str(), Some("proc"), hidden, none)?;
    mount(Some("/dev"), root.join("dev").as_str(), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    mount(Some("sysfs"), root.join("sys").as_str(), Some("sysfs"), hidden | MsFlags::MS_RDONLY, none)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:5 / /dev rw - devtmpfs dev rw
40 22 0:50 / /store/build/mnt rw - overlay overlay rw
41 40 254:0 /home/me/.cache/apt\\040x /store/build/mnt/var/cache/apt/archives rw - ext4 /dev/vda rw
42 40 0:51 / /store/build/mnt/tmp/x ro,nosuid - tmpfs none ro
43 22 0:52 / /store/build/mnt-other rw - tmpfs none rw
";

    #[test]
    fn binds_are_told_from_file_systems_and_names_are_unescaped() {
        let table = parse(TABLE);
        let mut binds = table.clone();
        // The test's host has no such folder: `/` stands for it.
        binds[3].root = "/".into();
        let found = find(&binds, Utf8Path::new("/store/build/mnt"));
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].inside.as_str(), found[0].from.as_deref()),
            ("var/cache/apt/archives", Some(Utf8Path::new("/")))
        );
        assert_eq!((found[1].inside.as_str(), found[1].from.as_deref(), found[1].read_only), ("tmp/x", None, true));
        assert_eq!(table[3].root, "/home/me/.cache/apt x");
        assert_eq!((unescape(r"/a\040b\134c"), unescape(r"/plain\")), (r"/a b\c".to_owned(), r"/plain\".to_owned()));
    }

    #[test]
    fn a_mount_can_be_made_again_and_taken_away() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let inner = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let root = Utf8Path::from_path(folder.path()).unwrap().canonicalize_utf8().unwrap();
            for name in ["host", "tree/cache", "other/cache", "tree/tmp"] {
                fs::create_dir_all(root.join(name)).unwrap();
            }
            fs::write(root.join("host/file"), "x").unwrap();
            let (host, cache) = (root.join("host"), root.join("tree/cache"));
            mount(Some(host.as_str()), cache.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            let found = below(&root.join("tree")).unwrap();
            assert_eq!(found[0].from.as_deref(), Some(host.as_path()));
            again(&found[0], &root.join("other")).unwrap();
            assert!(root.join("other/cache/file").exists());
            clear_below(&root.join("other")).unwrap();
            clear_below(&root.join("tree")).unwrap();
            assert!(!root.join("other/cache/file").exists() && !root.join("tree/cache/file").exists());
        };
        // The namespace is the thread's own.
        std::thread::spawn(inner).join().unwrap();
    }
}
