//! Nodes in `/dev` for block devices that came into being just now.
//!
//! In: a device's name. Out: its node. A kernel whose devtmpfs is `/dev` has made it already. In a container `/dev` is often a
//! plain tmpfs: the node is then made in a `/dev` of this mount namespace's own, which shows all that the old one has, so that
//! nothing stays behind on the host. Not here: making devices.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, mknod};

use super::mount_table;

/// The name that marks a `/dev` of our own in the mount table.
const SOURCE: &str = "kiln-dev";

/// The node of the block device `name`, whose number `number` tells if there is none yet.
pub(super) fn ensure(name: &str, number: impl FnOnce() -> Option<u64>) -> io::Result<Utf8PathBuf> {
    let node = Utf8Path::new("/dev").join(name);
    let wanted = number();
    if let Ok(facts) = std::fs::metadata(&node)
        && facts.file_type().is_block_device()
        && wanted.is_none_or(|wanted| wanted == facts.rdev())
    {
        return Ok(node);
    }
    let Some(wanted) = wanted else { return Err(io::Error::new(io::ErrorKind::NotFound, format!("no {node}"))) };
    if !is_own()? {
        cover()?;
    }
    match std::fs::remove_file(&node) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    mknod(node.as_std_path(), SFlag::S_IFBLK, Mode::from_bits_truncate(0o660), wanted)?;
    Ok(node)
}

/// The number of the device that `folder` of `/sys` describes.
pub(super) fn number(folder: &Utf8Path) -> Option<u64> {
    let text = std::fs::read_to_string(folder.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn is_own() -> io::Result<bool> {
    let table = mount_table::table()?;
    Ok(table.iter().rfind(|entry| entry.at == "/dev").is_some_and(|entry| entry.source == SOURCE))
}

/// Mounts a tmpfs over `/dev` that shows what is there.
fn cover() -> io::Result<()> {
    let scratch = tempfile::Builder::new().prefix("kiln-dev").tempdir()?;
    let own = Utf8Path::from_path(scratch.path()).ok_or_else(|| io::Error::other("a temporary folder has no name"))?;
    let (none, flags) = (None::<&str>, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC);
    mount(Some(SOURCE), own.as_std_path(), Some("tmpfs"), flags, Some("mode=755"))?;
    let filled = fill(own)
        .and_then(|()| mount(Some(own.as_std_path()), "/dev", none, MsFlags::MS_MOVE, none).map_err(io::Error::from));
    if filled.is_err() {
        let _ = nix::mount::umount2(own.as_std_path(), nix::mount::MntFlags::MNT_DETACH);
    }
    filled
}

fn fill(own: &Utf8Path) -> io::Result<()> {
    let none = None::<&str>;
    for entry in Utf8Path::new("/dev").read_dir_utf8()? {
        let entry = entry?;
        let (facts, to) = (entry.path().symlink_metadata()?, own.join(entry.file_name()));
        let kind = facts.file_type();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &to)?;
        } else if kind.is_block_device() || kind.is_char_device() {
            let kind = if kind.is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            mknod(to.as_std_path(), kind, Mode::empty(), facts.rdev())?;
            std::fs::set_permissions(&to, facts.permissions())?;
            std::os::unix::fs::lchown(&to, Some(facts.uid()), Some(facts.gid()))?;
        } else {
            if kind.is_dir() {
                std::fs::create_dir(&to)?;
            } else {
                std::fs::write(&to, "")?;
            }
            let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(entry.path().as_std_path()), to.as_std_path(), none, bind, none)?;
        }
    }
    Ok(())
}
