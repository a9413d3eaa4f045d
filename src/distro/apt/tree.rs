//! Files in a tree that must not be left.
//!
//! In: paths as package archives name them. Out: files, folders, links below the root. Every path is resolved by the kernel with
//! `RESOLVE_IN_ROOT`: a symlink in the tree, absolute or with `..`, never leads out of it. Not here: what belongs where.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use camino::Utf8Path;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
    fchown, fsetxattr, fstat, futimens, linkat, mkdirat, mknodat, openat, openat2, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

/// Mode, owner and time of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Owner, by number.
    pub uid: u32,
    /// Group, by number.
    pub gid: u32,
    /// Time of last change in seconds since 1970.
    pub mtime: i64,
}

impl Attributes {
    fn times(self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime, tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// A root folder. One per thread: it remembers the folder it used last.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    last: RefCell<Option<(Vec<u8>, Rc<OwnedFd>)>>,
}

impl Tree {
    /// The tree at `root`.
    ///
    /// # Errors
    /// When it is not a folder.
    pub fn open(root: &Utf8Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: openat(CWD, root.as_str(), flags, Mode::empty())?, last: RefCell::new(None) })
    }

    /// Makes the folder `path` unless something folder-like is there: a symlink to a folder stays, as dpkg has it. Returns
    /// whether it was made.
    ///
    /// # Errors
    /// When something else is there.
    pub fn make_dir(&self, path: &[u8]) -> io::Result<bool> {
        let (parent, name) = self.parent(path)?;
        match mkdirat(&*parent, name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => self.folder(path).map(|_| false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Writes a file of the root user's with permission bits `mode`, in the place of whatever file is there.
    ///
    /// # Errors
    /// When the kernel refuses, or a folder is there.
    pub fn put(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(path.as_bytes())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&*parent, name, flags, Mode::from_raw_mode(0o600));
        let file = match open() {
            Err(Errno::EXIST) => {
                unlinkat(&*parent, name, AtFlags::empty())?;
                open()?
            }
            other => other?,
        };
        fchmod(&file, Mode::from_raw_mode(mode))?;
        File::from(file).write_all(content)
    }

    /// Adds `text` to the end of a file, made when missing. A symlink is followed, within the tree.
    ///
    /// # Errors
    /// When the kernel refuses, or it is no plain file.
    pub fn append(&self, path: &str, text: &str) -> io::Result<()> {
        self.parent(path.as_bytes())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NONBLOCK | OFlags::CLOEXEC;
        plain(openat2(&self.root, path, flags, Mode::from_raw_mode(0o644), ResolveFlags::IN_ROOT)?)?
            .write_all(text.as_bytes())
    }

    /// The content of a file. A symlink is followed, within the tree.
    ///
    /// # Errors
    /// When there is none, or it is no plain file.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut bytes = Vec::new();
        plain(openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether something has the name `path`, be it a symlink that leads nowhere.
    pub fn has(&self, path: &str) -> bool {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).is_ok()
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When there is none, or it is a folder.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path.as_bytes())?;
        Ok(unlinkat(&*parent, name, AtFlags::empty())?)
    }

    /// Sets the attributes of the folder `path`.
    ///
    /// # Errors
    /// When there is none, or the kernel refuses.
    pub fn set_dir(&self, path: &[u8], attributes: Attributes) -> io::Result<()> {
        let folder = openat2(
            &self.root,
            relative(path),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )?;
        fchown(&folder, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
        fchmod(&folder, Mode::from_raw_mode(attributes.mode))?;
        futimens(&folder, &attributes.times())?;
        Ok(())
    }

    /// Writes a file in the place of whatever file is there.
    ///
    /// # Errors
    /// When the kernel refuses, or a folder is there.
    pub fn write(
        &self,
        path: &[u8],
        attributes: Attributes,
        xattrs: &[(String, Vec<u8>)],
        content: &mut dyn io::Read,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&*parent, name, flags, Mode::from_raw_mode(0o600));
        let file = match open() {
            Err(Errno::EXIST) => {
                unlinkat(&*parent, name, AtFlags::empty())?;
                open()?
            }
            other => other?,
        };
        let mut file = File::from(file);
        io::copy(content, &mut file)?;
        fchown(&file, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
        // After the owner: a change of owner clears the set-uid bits.
        fchmod(&file, Mode::from_raw_mode(attributes.mode))?;
        for (name, value) in xattrs {
            fsetxattr(&file, name, value, XattrFlags::empty())?;
        }
        futimens(&file, &attributes.times())?;
        Ok(())
    }

    /// Makes a symlink that reads `to` in the place of whatever file is there; a folder stays, as dpkg has it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn symlink(&self, to: &[u8], path: &[u8], attributes: Attributes) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let make = || symlinkat(OsStr::from_bytes(to), &*parent, name);
        match make() {
            Err(Errno::EXIST) => match unlinkat(&*parent, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => return Ok(()),
                other => {
                    other?;
                    make()?;
                }
            },
            other => other?,
        }
        let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
        chownat(&*parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        utimensat(&*parent, name, &attributes.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    /// Gives the file `from` the second name `path`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn hard_link(&self, from: &[u8], path: &[u8]) -> io::Result<()> {
        let (old_parent, old_name) = self.parent(from)?;
        let (parent, name) = self.parent(path)?;
        let make = || linkat(&*old_parent, old_name, &*parent, name, AtFlags::empty());
        match make() {
            Err(Errno::EXIST) => {
                unlinkat(&*parent, name, AtFlags::empty())?;
                Ok(make()?)
            }
            other => Ok(other?),
        }
    }

    /// Makes a device or a pipe.
    ///
    /// # Errors
    /// When the kernel refuses; only root of the first user namespace may make devices.
    pub fn node(&self, path: &[u8], kind: FileType, device: (u32, u32), attributes: Attributes) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let device = rustix::fs::makedev(device.0, device.1);
        let make = || mknodat(&*parent, name, kind, Mode::from_raw_mode(attributes.mode), device);
        match make() {
            Err(Errno::EXIST) => {
                unlinkat(&*parent, name, AtFlags::empty())?;
                make()?;
            }
            other => other?,
        }
        // The umask took bits off the mode. A path-only descriptor holds what was made, whatever has its name by now.
        let made = openat(&*parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
        chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        let found = FileType::from_raw_mode(fstat(&made)?.st_mode);
        if found != kind {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file took its name"));
        }
        let itself = format!("/proc/self/fd/{}", made.as_raw_fd());
        rustix::fs::chmodat(CWD, itself, Mode::from_raw_mode(attributes.mode), AtFlags::empty())?;
        Ok(())
    }

    /// The folder that holds `path`, made when missing, and the last name of `path`.
    fn parent<'a>(&self, path: &'a [u8]) -> io::Result<(Rc<OwnedFd>, &'a OsStr)> {
        let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        if name.is_empty() || name == b".." || name == b"." {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the archive holds a path without a name"));
        }
        if let Some((last, open)) = &*self.last.borrow()
            && last == folder
        {
            return Ok((open.clone(), OsStr::from_bytes(name)));
        }
        let open = match self.folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => {
                self.make_dir(folder)?;
                self.folder(folder)?
            }
            other => other?,
        };
        let open = Rc::new(open);
        *self.last.borrow_mut() = Some((folder.to_owned(), open.clone()));
        Ok((open, OsStr::from_bytes(name)))
    }

    fn folder(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(&self.root, relative(path), flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }
}

/// A descriptor as a file, when it is a plain one: a device or a pipe of the tree would do or wait for anything.
fn plain(file: OwnedFd) -> io::Result<File> {
    let file = File::from(file);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"))
}

fn relative(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(if path.is_empty() { b"." } else { path })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_in_the_tree_lead_no_writer_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let root = top.join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(top.join("host"), "host").unwrap();
        std::fs::set_permissions(top.join("host"), std::fs::Permissions::from_mode(0o600)).unwrap();
        for name in ["put", "append", "etc/pipe", "etc/read"] {
            symlink(top.join("host"), root.join(name)).unwrap();
        }
        let tree = Tree::open(&root).unwrap();
        tree.put("put", b"x", 0o755).unwrap();
        assert!(tree.append("append", "x").is_err(), "the link leads to a folder that the tree does not have");
        assert!(tree.read("etc/read").is_err() && tree.has("etc/read") && !tree.has("etc/none"));
        let attributes = Attributes {
            mode: 0o666,
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            mtime: 0,
        };
        tree.node(b"etc/pipe", FileType::Fifo, (0, 0), attributes).unwrap();
        let pipe = root.join("etc/pipe").symlink_metadata().unwrap();
        assert!(pipe.file_type().is_fifo() && pipe.permissions().mode() & 0o777 == 0o666);
        assert!(tree.read("etc/pipe").is_err(), "nobody waits for a pipe");
        assert_eq!(std::fs::read_to_string(top.join("host")).unwrap(), "host");
        assert_eq!(top.join("host").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(root.join("put").symlink_metadata().unwrap().permissions().mode() & 0o777, 0o755);
        tree.append("etc/log", "a").unwrap();
        tree.append("etc/log", "b").unwrap();
        assert_eq!(tree.read("etc/log").unwrap(), b"ab");
        assert!(tree.make_dir(b"new").unwrap() && !tree.make_dir(b"new").unwrap());
    }
}
