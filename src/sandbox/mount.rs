//! Mounts that only one piece of work sees.
//!
//! In: what to hide in a tree, and the work. Out: the work's result. The mounts are made in a namespace of the work's own thread
//! and vanish with it, however it ends; commands that it starts inherit them. Needs no privilege beyond what the builder has
//! on every rung (a mount namespace that it owns). Not here: what a command inside the image sees (`chroot`).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

/// Runs `work` while `tree` shows only its own file system (no mounts below it) and the folders `hidden` (paths in it, parents
/// first) appear empty, with owner, mode and time unchanged.
///
/// # Errors
/// When a mount namespace or a mount is refused.
pub fn seeing_only<T: Send>(tree: &Utf8Path, hidden: &[Utf8PathBuf], work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let private = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        // Not recursive: what is mounted below the tree is not in the bind.
        mount(Some(tree.as_std_path()), tree.as_std_path(), none, MsFlags::MS_BIND, none)?;
        for folder in hidden {
            hide(folder)?;
        }
        Ok(work())
    };
    // The namespace belongs to one thread, so the rest of the process keeps its own view.
    thread::scope(|scope| scope.spawn(private).join().unwrap_or_else(|_| Err(io::Error::other("the work panicked"))))
}

/// Runs `work` while `tree` shows its own file system and those mounted at the folders `parts` (paths in it, parents first), and
/// no other mount.
///
/// # Errors
/// When a mount namespace or a mount is refused.
pub fn seeing_parts<T: Send>(tree: &Utf8Path, parts: &[Utf8PathBuf], work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let private = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let all = || std::iter::once(tree).chain(parts.iter().map(Utf8PathBuf::as_path));
        // All of them before the first covers the rest.
        let copies = all().map(|at| open_tree(CWD, at.as_std_path(), flags)).collect::<rustix::io::Result<Vec<_>>>()?;
        for (at, copy) in all().zip(copies) {
            move_mount(copy, "", CWD, at.as_std_path(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        }
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(private).join().unwrap_or_else(|_| Err(io::Error::other("the work panicked"))))
}

/// Runs `work` while the empty folder `top` shows, in memory, the folders `empty` and, at the paths of `parts` below it, folders of the host,
/// each without mounts of its own and with its hidden folders appearing empty: path below `top`, the host's folder, what is hidden.
///
/// # Errors
/// When a mount namespace or a mount is refused.
pub fn seeing_together<T: Send>(
    top: &Utf8Path,
    empty: &[&str],
    parts: &[(&str, &Utf8Path, &[Utf8PathBuf])],
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let private = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some("tmpfs"), top.as_std_path(), Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=1m"))?;
        for folder in empty {
            std::fs::create_dir_all(top.join(folder))?;
        }
        for (below, content, hidden) in parts {
            let at = top.join(below);
            std::fs::create_dir_all(&at)?;
            mount(Some(content.as_std_path()), at.as_std_path(), none, MsFlags::MS_BIND, none)?;
            for folder in *hidden {
                let inside = folder.strip_prefix(content).map_err(io::Error::other)?;
                hide(&at.join(inside))?;
            }
        }
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(private).join().unwrap_or_else(|_| Err(io::Error::other("the work panicked"))))
}

/// Covers a folder by an empty one with its owner, mode and times.
fn hide(folder: &Utf8Path) -> io::Result<()> {
    let before = std::fs::metadata(folder)?;
    let data = format!("mode={:o},uid={},gid={},size=4k", before.mode() & 0o7777, before.uid(), before.gid());
    mount(Some("tmpfs"), folder.as_std_path(), Some("tmpfs"), MsFlags::empty(), Some(data.as_str()))?;
    let times = std::fs::FileTimes::new().set_accessed(before.accessed()?).set_modified(before.modified()?);
    std::fs::File::open(folder)?.set_times(times)
}
