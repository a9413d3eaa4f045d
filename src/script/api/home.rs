//! A user's own folder.
//!
//! In: its path and owner. Out: the folder with what `/etc/skel` gives new users; keys that may log in. Not here: the account.

use camino::{Utf8Path, Utf8PathBuf};

use super::super::host_error::HostError;
use super::super::image::Image;
use super::account_files::optional;
use crate::target::{Attributes, FileKind, Target};

/// Mode of a home folder where `/etc/login.defs` does not say.
const MODE: u32 = 0o700;

fn owned(uid: u32, gid: u32, mode: u32) -> Attributes {
    Attributes { mode: Some(mode), owner: Some(uid.to_string()), group: Some(gid.to_string()) }
}

/// Makes the folder unless it is there.
pub fn make(image: &Image, home: &Utf8Path, uid: u32, gid: u32) -> Result<(), HostError> {
    let target = image.target();
    let real = target.resolve(home, true)?;
    if target.stat(&real)?.is_some() {
        return Ok(());
    }
    target.make_dir(&real, owned(uid, gid, mode(image)?))?;
    let skeleton = target.resolve(Utf8Path::new("/etc/skel"), true)?;
    if target.stat(&skeleton)?.is_some_and(|stat| stat.kind == FileKind::Directory) {
        copy(target, &skeleton, &real, uid, gid)?;
    }
    Ok(())
}

fn mode(image: &Image) -> Result<u32, HostError> {
    let text = optional(image, "/etc/login.defs")?.unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix("HOME_MODE"));
    Ok(lines.find_map(|rest| u32::from_str_radix(rest.trim(), 8).ok()).unwrap_or(MODE))
}

fn copy(target: &dyn Target, from: &Utf8Path, to: &Utf8Path, uid: u32, gid: u32) -> Result<(), HostError> {
    for name in target.list(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        let Some(stat) = target.stat(&from)? else { continue };
        match stat.kind {
            FileKind::Directory => {
                target.make_dir(&to, owned(uid, gid, stat.mode))?;
                copy(target, &from, &to, uid, gid)?;
            }
            FileKind::File => target.write(&to, &target.read(&from)?, owned(uid, gid, stat.mode))?,
            FileKind::Symlink => target.symlink(&target.read_link(&from)?, &to)?,
            FileKind::Special => {}
        }
    }
    Ok(())
}

/// Adds a line to the folder's `.ssh/authorized_keys` unless it is there. sshd refuses keys that others could write.
pub fn authorize(image: &Image, home: &Utf8PathBuf, uid: u32, gid: u32, key: &str) -> Result<(), HostError> {
    let target = image.target();
    if target.stat(&target.resolve(home, true)?)?.is_none() {
        target.make_dir(home, owned(uid, gid, MODE))?;
    }
    let folder = home.join(".ssh");
    let file = folder.join("authorized_keys");
    // Not where a link of the user's folder leads: this is done as root.
    for path in [&folder, &file] {
        if target.stat(path)?.is_some_and(|stat| stat.kind == FileKind::Symlink) {
            return Err(HostError::new("users.failed", format!("`{path}` in the image is a symlink")));
        }
    }
    target.make_dir(&folder, owned(uid, gid, 0o700))?;
    let text = optional(image, file.as_str())?.unwrap_or_default();
    if text.lines().any(|line| line.trim() == key) {
        return Ok(());
    }
    let text = crate::target::accounts::with_line(&text, key);
    Ok(target.write(&file, text.as_bytes(), owned(uid, gid, 0o600))?)
}
