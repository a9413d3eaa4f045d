//! What is in the file systems, against what the archive of the same build has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::devices::array;
use crate::support::approve;

/// The finished tree, out of the archive.
pub struct Tree(PathBuf);

impl Tree {
    pub fn of_archive(archive: &Path, to: &Path) -> Self {
        fs::create_dir(to).unwrap();
        let words = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"];
        approve("tar", &[&words[..], &[archive.to_str().unwrap(), "-C", to.to_str().unwrap()]].concat());
        Self(to.to_owned())
    }

    pub fn root(&self) -> &Path {
        &self.0
    }
}

/// What a file system keeps of a file.
#[derive(Clone, Copy)]
enum Kept {
    /// All of it.
    All,
    /// Names and content.
    Content,
}

/// Whether the file system in `bytes` has what is at its mount points, and nothing else.
pub fn compare(tree: &Tree, layout: &Value, filesystem: &Value, bytes: &Path) {
    let kind = filesystem["type"].as_str().unwrap();
    if kind == "swap" {
        return;
    }
    let at = bytes.with_extension("seen");
    let look = |point: Option<&str>, options: &str| {
        let at = at.to_str().unwrap();
        fs::create_dir_all(at).unwrap();
        if kind == "vfat" {
            approve("mcopy", &["-s", "-n", "-i", bytes.to_str().unwrap(), "::*", at]);
            check(tree, layout, point, Path::new(at), Kept::Content);
            return;
        }
        // Builds of other tests would take a mount that they see with them into their own namespaces.
        let look = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            approve("mount", &["-t", kind, "-o", options, bytes.to_str().unwrap(), at]);
            check(tree, layout, point, Path::new(at), Kept::All);
            // A child of another test, between fork and exec, may still have a folder of it open.
            let is_gone = (0..100).any(|_| {
                umount(at).is_ok() || {
                    thread::sleep(Duration::from_millis(20));
                    false
                }
            });
            assert!(is_gone, "{at} stays mounted");
        };
        let looked = thread::scope(|scope| scope.spawn(look).join());
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    };
    // Journals are clean, and nothing is written to judge them.
    let options = if kind == "xfs" { "ro,loop,norecovery,nouuid" } else { "ro,loop" };
    let subvolumes: Vec<_> = array(filesystem, "subvolumes").collect();
    for subvolume in &subvolumes {
        let name = subvolume["name"].as_str().unwrap();
        look(subvolume["mount_point"].as_str(), &format!("{options},subvol={name}"));
    }
    if subvolumes.is_empty() {
        look(filesystem["mount_point"].as_str(), options);
    }
}

/// The mount points of a layout.
fn points(layout: &Value) -> Vec<String> {
    let of = |filesystem: &Value| {
        let own = filesystem["mount_point"].as_str().map(str::to_owned);
        let subvolumes =
            array(filesystem, "subvolumes").filter_map(|part| part["mount_point"].as_str().map(str::to_owned));
        own.into_iter().chain(subvolumes).collect::<Vec<_>>()
    };
    array(layout, "filesystems").flat_map(of).filter(|point| point.starts_with('/')).collect()
}

fn check(tree: &Tree, layout: &Value, point: Option<&str>, seen: &Path, kept: Kept) {
    let Some(point) = point else {
        assert!(listing(seen, &[], kept).is_empty(), "{} is not empty", seen.display());
        return;
    };
    let below = |other: &String| {
        let rest = Path::new(other).strip_prefix(point).ok()?.to_owned();
        (!rest.as_os_str().is_empty()).then_some(rest)
    };
    let all: Vec<_> = points(layout).iter().filter_map(below).collect();
    // What is mounted there may have mount points of its own.
    let is_outermost = |one: &&PathBuf| !all.iter().any(|other| one.starts_with(other) && *one != other);
    let others: Vec<_> = all.iter().filter(is_outermost).cloned().collect();
    for other in others.iter().map(|other| seen.join(other)).filter(|_| matches!(kept, Kept::All)) {
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "{} hides something", other.display());
    }
    let found = listing(seen, &others, kept);
    let expected = listing(&tree.root().join(point.trim_start_matches('/')), &others, kept);
    assert!(expected.len() > 1, "nothing is expected at {point}");
    assert_eq!(found, expected, "at {point}");
    if matches!(kept, Kept::All) {
        let (found, expected) = (fs::metadata(seen).unwrap(), tree.root().join(point.trim_start_matches('/')));
        let expected = fs::metadata(expected).unwrap();
        assert_eq!(
            (found.mode(), found.uid(), found.gid()),
            (expected.mode(), expected.uid(), expected.gid()),
            "{point}"
        );
    }
}

/// Each file below `root` and what is known of it; `others` are shown as empty folders.
fn listing(root: &Path, others: &[PathBuf], kept: Kept) -> BTreeMap<PathBuf, String> {
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_owned();
    let inside = |path: &Path| others.iter().any(|other| path.starts_with(other) && path != other);
    let is_own =
        |entry: &walkdir::DirEntry| !inside(&name(entry.path())) && name(entry.path()) != Path::new("lost+found");
    let entries = WalkDir::new(root).min_depth(1).into_iter().filter_entry(is_own);
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let path = name(entry.path());
            let facts = facts(entry.path(), others.contains(&path), kept);
            (path, facts)
        })
        .collect()
}

fn facts(path: &Path, is_other: bool, kept: Kept) -> String {
    let facts = path.symlink_metadata().unwrap();
    let kind = facts.file_type();
    let content = if kind.is_symlink() {
        format!("to {}", path.read_link().unwrap().display())
    } else if kind.is_file() {
        let digest = Sha256::digest(fs::read(path).unwrap());
        format!(
            "{} bytes, {digest:x?}, changed {}",
            facts.len(),
            if matches!(kept, Kept::All) { facts.mtime() } else { 0 }
        )
    } else if kind.is_dir() {
        "folder".to_owned()
    } else {
        format!("fifo: {}, device {}", kind.is_fifo(), facts.rdev())
    };
    match kept {
        Kept::Content => content,
        // What is mounted there hides what the folder is.
        Kept::All if is_other => "folder".to_owned(),
        Kept::All => {
            let links = if kind.is_dir() { 0 } else { facts.nlink() };
            format!("{:o} {}:{} {links} links, {content}", facts.mode(), facts.uid(), facts.gid())
        }
    }
}
