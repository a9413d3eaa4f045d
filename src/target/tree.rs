//! The real target: a folder.
//!
//! In: a root folder and a package manager. Out: changes below that folder and nowhere else: every path is opened by the
//! kernel with `RESOLVE_IN_ROOT`, so a symlink in the image leads to the image. A file is replaced by a rename: a reader sees
//! the old one or the new one. Not here: what a hook may do.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{self as sys, AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::outside::{Nothing, Outside};
use super::{Attributes, FileKind, Packages, Run, RunOutput, Stat, Target, TargetError, owner, resolve};
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::{Command, CommandError};

/// The folder that an image grows in.
pub struct Tree {
    root: Utf8PathBuf,
    fd: OwnedFd,
    packages: Arc<dyn Packages>,
    outside: Arc<dyn Outside>,
    events: Events,
    /// Makes the names of temporary files differ.
    serial: AtomicU64,
}

impl Tree {
    /// The tree at `root`, a folder.
    ///
    /// # Errors
    /// `io.not-found`, `io.failed` when it cannot be opened.
    pub fn new(root: &Utf8Path, packages: Arc<dyn Packages>, events: Events) -> Result<Self, TargetError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = sys::open(root.as_std_path(), flags, Mode::empty())
            .map_err(|error| TargetError::io("open the root tree", root, &error.into()))?;
        let outside = Arc::new(Nothing);
        Ok(Self { root: root.to_owned(), fd, packages, outside, events, serial: AtomicU64::new(0) })
    }

    /// The same tree, into which this brings things.
    pub fn with_outside(self, outside: Arc<dyn Outside>) -> Self {
        Self { outside, ..self }
    }

    /// Opens `path` in the image; symlinks lead to the image.
    fn open(&self, path: &Utf8Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let relative = path.as_str().trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        let jail = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: something was renamed meanwhile and the kernel could not vouch for `..`.
        loop {
            match sys::openat2(&self.fd, relative, flags | OFlags::CLOEXEC, Mode::empty(), jail) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// The folder that holds `path`, and the name in it; `None` for the root itself.
    fn parent(&self, path: &Utf8Path) -> Result<Option<(OwnedFd, String)>, Errno> {
        // A final `..` is not a name in a folder; what it means depends on links, so let `resolve` say.
        let resolved;
        let path = if path.components().next_back().is_some_and(|last| last.as_str() == "..") {
            resolved = self.resolve(path, false).map_err(|_| Errno::INVAL)?;
            &resolved
        } else {
            path
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        Ok(Some((self.open(parent, OFlags::PATH | OFlags::DIRECTORY)?, name.to_owned())))
    }

    /// As `parent`, making missing folders.
    fn make_parent(&self, path: &Utf8Path) -> Result<(OwnedFd, String), TargetError> {
        let fail = |error: Errno| TargetError::io("make the folder of", path, &error.into());
        match self.parent(path) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => return Err(TargetError::new("usage.path", "the image's root is a folder, not a file")),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(fail(error)),
        }
        if let Some(parent) = path.parent() {
            self.make_dir(parent, Attributes::default())?;
        }
        self.parent(path).and_then(|found| found.ok_or(Errno::INVAL)).map_err(fail)
    }

    fn ids(&self, attributes: &Attributes) -> Result<(Option<u32>, Option<u32>), TargetError> {
        let number = |name: &Option<String>, file: &str| {
            let Some(name) = name else { return Ok(None) };
            let text = match self.read(Utf8Path::new(file)) {
                Ok(text) => String::from_utf8_lossy(&text).into_owned(),
                Err(error) if error.code == "io.not-found" => String::new(),
                Err(error) => return Err(error),
            };
            owner::number(name, file, &text).map(Some)
        };
        Ok((number(&attributes.owner, "/etc/passwd")?, number(&attributes.group, "/etc/group")?))
    }

    /// Sets what is given on an open file, owner first: a change of owner clears the set-uid bit.
    fn apply(&self, file: BorrowedFd<'_>, attributes: &Attributes) -> Result<(), TargetError> {
        let fail = |error: Errno| TargetError::new("io.failed", format!("cannot set owner or mode: {error}"));
        let (uid, gid) = self.ids(attributes)?;
        let now = sys::fstat(file).map_err(fail)?;
        let (uid, gid) = (uid.filter(|uid| *uid != now.st_uid), gid.filter(|gid| *gid != now.st_gid));
        if uid.is_some() || gid.is_some() {
            sys::fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).map_err(fail)?;
        }
        if let Some(mode) = attributes.mode.or((uid.is_some() || gid.is_some()).then_some(now.st_mode & 0o7777)) {
            sys::fchmod(file, Mode::from_raw_mode(mode)).map_err(fail)?;
        }
        Ok(())
    }

    /// As [`Target::write`], with content that `fill` puts into the new file.
    pub(super) fn replace(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
        fill: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), TargetError> {
        resolve::check(path)?;
        let fail = |error: std::io::Error| TargetError::io("write", path, &error);
        let before = self.stat(path)?;
        if before.as_ref().is_some_and(|stat| stat.kind == FileKind::Directory) {
            return Err(TargetError::new("io.failed", format!("cannot write `{path}` in the image: it is a folder")));
        }
        let kept = before.filter(|stat| stat.kind == FileKind::File);
        let attributes = Attributes {
            mode: attributes.mode.or(kept.as_ref().map(|stat| stat.mode)).or(Some(0o644)),
            owner: attributes.owner.or_else(|| Some(kept.as_ref().map_or(0, |stat| stat.uid).to_string())),
            group: attributes.group.or_else(|| Some(kept.as_ref().map_or(0, |stat| stat.gid).to_string())),
        };
        let (folder, name) = self.make_parent(path)?;
        let temporary = self.temporary(&name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::openat(&folder, &temporary, flags, Mode::from_raw_mode(0o600)).map_err(|e| fail(e.into()))?;
        let mut file = File::from(fd);
        let written = fill(&mut file).map_err(fail).and_then(|()| self.apply(file.as_fd(), &attributes));
        let renamed = written
            .and_then(|()| sys::renameat(&folder, &temporary, &folder, &name).map_err(|error| fail(error.into())));
        if renamed.is_err() {
            let _ = sys::unlinkat(&folder, &temporary, AtFlags::empty());
        }
        renamed
    }

    fn remove_at(folder: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        match sys::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = sys::openat(folder, name, flags, Mode::empty())?;
        for entry in names(&inner)? {
            Self::remove_at(inner.as_fd(), &entry)?;
        }
        sys::unlinkat(folder, name, AtFlags::REMOVEDIR)
    }

    fn temporary(&self, name: &str) -> String {
        // 200: a name may have 255 bytes; cut on a character.
        let short: String = name.chars().take(50).collect();
        format!(".{short}.{}.kiln", self.serial.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names in an open folder, sorted.
fn names(folder: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_str().map_err(|_| Errno::ILSEQ)?.to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Files larger than this are no text that a script works on: an endless sparse file must not fill the builder's memory.
const READ_LIMIT: u64 = 64 << 20;

impl Target for Tree {
    fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, TargetError> {
        resolve::check(path)?;
        let found = match self.parent(path) {
            Ok(Some((folder, name))) => sys::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW),
            Ok(None) => sys::fstat(&self.fd),
            Err(error) => Err(error),
        };
        let stat = match found {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(TargetError::io("look at", path, &error.into())),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        Ok(Some(Stat {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            // A folder's is its file system's affair.
            size: if kind == FileKind::Directory { 0 } else { u64::try_from(stat.st_size).unwrap_or_default() },
        }))
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, TargetError> {
        resolve::check(path)?;
        let fail = |error: std::io::Error| TargetError::io("read", path, &error);
        // NONBLOCK: a pipe in the image must not hang the build.
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).map_err(|error| fail(error.into()))?;
        let stat = sys::fstat(&fd).map_err(|error| fail(error.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => {
                return Err(TargetError::new(
                    "io.failed",
                    format!("cannot read `{path}` in the image: it is a folder"),
                ));
            }
            _ => {
                let text = format!("cannot read `{path}` in the image: it is not a regular file");
                return Err(TargetError::new("io.failed", text));
            }
        }
        let mut content = Vec::new();
        File::from(fd).take(READ_LIMIT + 1).read_to_end(&mut content).map_err(fail)?;
        if content.len() as u64 > READ_LIMIT {
            let text = format!("cannot read `{path}` in the image: it is larger than {} MiB", READ_LIMIT >> 20);
            return Err(TargetError::new("io.too-large", text));
        }
        Ok(content)
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, TargetError> {
        resolve::check(path)?;
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(|folder| names(&folder))
            .map_err(|error| TargetError::io("list", path, &error.into()))
    }

    fn read_link(&self, path: &Utf8Path) -> Result<Utf8PathBuf, TargetError> {
        resolve::check(path)?;
        let fail = |error: Errno| TargetError::io("read the symlink", path, &error.into());
        let (folder, name) = self.parent(path).and_then(|found| found.ok_or(Errno::INVAL)).map_err(fail)?;
        let to = sys::readlinkat(&folder, &name, Vec::new()).map_err(fail)?;
        to.into_string().map(Into::into).map_err(|_| fail(Errno::ILSEQ))
    }

    fn write(&self, path: &Utf8Path, content: &[u8], attributes: Attributes) -> Result<(), TargetError> {
        self.replace(path, attributes, |file| file.write_all(content))
    }

    fn write_stream(&self, path: &Utf8Path, from: &mut dyn Read, attributes: Attributes) -> Result<(), TargetError> {
        self.replace(path, attributes, |file| std::io::copy(from, file).map(drop))
    }

    fn make_dir(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError> {
        // Symlinks first: a missing folder behind a dangling link is made where the link leads.
        let path = self.resolve(path, true)?;
        let fail = |error: Errno| TargetError::io("make the folder", &path, &error.into());
        let mut at = Utf8PathBuf::from("/");
        for part in path.components().skip(1) {
            let folder = self.open(&at, OFlags::PATH | OFlags::DIRECTORY).map_err(fail)?;
            match sys::mkdirat(&folder, part.as_str(), Mode::from_raw_mode(0o755)) {
                // The mask of the process must not decide. Opened first: by name, a link that took the new folder's place
                // meanwhile would be followed, out of the image too.
                Ok(()) => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let made = sys::openat(&folder, part.as_str(), flags, Mode::empty()).map_err(fail)?;
                    sys::fchmod(&made, Mode::from_raw_mode(0o755)).map_err(fail)?;
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(fail(error)),
            }
            at.push(part);
        }
        let folder = self.open(&path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail)?;
        self.apply(folder.as_fd(), &attributes)
    }

    fn symlink(&self, points_to: &Utf8Path, path: &Utf8Path) -> Result<(), TargetError> {
        resolve::check(path)?;
        if self.stat(path)?.is_some_and(|stat| stat.kind == FileKind::Directory) {
            let text = format!("cannot make the symlink `{path}` in the image: a folder is there");
            return Err(TargetError::new("io.failed", text));
        }
        let fail = |error: Errno| TargetError::io("make the symlink", path, &error.into());
        let (folder, name) = self.make_parent(path)?;
        let temporary = self.temporary(&name);
        sys::symlinkat(points_to.as_str(), &folder, &temporary).map_err(fail)?;
        sys::renameat(&folder, &temporary, &folder, &name).map_err(|error| {
            let _ = sys::unlinkat(&folder, &temporary, AtFlags::empty());
            fail(error)
        })
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), TargetError> {
        resolve::check(path)?;
        let removed = match self.parent(path) {
            Ok(Some((folder, name))) => Self::remove_at(folder.as_fd(), &name),
            Ok(None) => Err(Errno::BUSY),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| TargetError::io("remove", path, &error.into()))
    }

    fn set_attributes(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError> {
        resolve::check(path)?;
        // NONBLOCK: opening a pipe must not wait for its other end.
        let fd = self
            .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .map_err(|error| TargetError::io("set owner or mode of", path, &error.into()))?;
        self.apply(fd.as_fd(), &attributes)
    }

    fn run(&self, run: &Run) -> Result<RunOutput, TargetError> {
        let chroot = Chroot::new(&self.root);
        let chroot = if run.network { chroot.with_network() } else { chroot };
        let mut command = Command::new(run.argv.iter().cloned())
            .inside(&chroot)
            .stdin(run.stdin.clone())
            // A year is as good as for ever, and the clock's arithmetic can hold it.
            .timeout(run.timeout.map(|seconds| Duration::from_secs(seconds.min(366 * 86_400))));
        for (key, value) in &run.env {
            command = command.env(key, value);
        }
        let output = command.run(&self.events).map_err(|error| {
            let code = if matches!(error, CommandError::Timeout { .. }) { "command.timeout" } else { "command.failed" };
            TargetError::new(code, error.to_string())
        })?;
        Ok(RunOutput { status: output.status, stdout: output.stdout, stderr: output.stderr })
    }

    fn packages(&self) -> Arc<dyn Packages> {
        Arc::clone(&self.packages)
    }

    fn outside(&self) -> Arc<dyn Outside> {
        Arc::clone(&self.outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::fake::FakeTarget;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nwww:x:33:34::/:/bin/false\n").unwrap();
        std::fs::write(root.join("etc/group"), "root:x:0:\nwww:x:34:\n").unwrap();
        std::fs::write(root.with_file_name("secret"), "host").unwrap();
        let tree = Tree::new(&root, Arc::new(FakeTarget::new()), Events::none()).unwrap();
        (folder, tree)
    }

    #[test]
    fn a_link_out_of_the_tree_leads_into_it() {
        let (folder, tree) = tree();
        let host = folder.path().to_str().unwrap();
        for (name, to) in [("up", "../../../../secret"), ("absolute", &format!("{host}/secret")), ("dots", "../secret")]
        {
            std::os::unix::fs::symlink(to, folder.path().join("root").join(name)).unwrap();
            let path = Utf8PathBuf::from(format!("/{name}"));
            assert_eq!(tree.read(&path).unwrap_err().code, "io.not-found", "{name}");
        }
        std::os::unix::fs::symlink(host, folder.path().join("root/out")).unwrap();
        // The link dangles in the image: what it names is made there, and the host's file stays.
        let _ = tree.write("/out/secret".into(), b"image", Attributes::default());
        assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"host");
        assert_eq!(tree.read("/../../secret".into()).unwrap_err().code, "io.not-found");
        tree.remove("/out/secret".into()).unwrap();
        assert!(folder.path().join("secret").exists());
    }

    #[test]
    fn removing_a_folder_does_not_follow_links_in_it() {
        let (folder, tree) = tree();
        tree.make_dir("/a/b/c".into(), Attributes::default()).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("root/a/b/link")).unwrap();
        tree.write("/a/b/f".into(), b"", Attributes::default()).unwrap();
        tree.remove("/a".into()).unwrap();
        assert_eq!(tree.stat("/a".into()).unwrap(), None);
        assert!(tree.stat("/etc/passwd".into()).unwrap().is_some());
        tree.remove("/a".into()).unwrap();
        assert_eq!(tree.remove("/".into()).unwrap_err().code, "io.failed");
    }

    #[test]
    fn a_written_file_keeps_its_mode_and_gets_what_is_asked() {
        let (_folder, tree) = tree();
        let path = Utf8Path::new("/new/dir/file");
        tree.write(path, b"1", Attributes::default()).unwrap();
        assert_eq!(tree.stat(path).unwrap().unwrap().mode, 0o644);
        tree.set_attributes(path, Attributes { mode: Some(0o4750), ..Attributes::default() }).unwrap();
        tree.write(path, b"22", Attributes::default()).unwrap();
        let stat = tree.stat(path).unwrap().unwrap();
        assert_eq!((stat.mode, stat.size), (0o4750, 2));
        assert_eq!(tree.list("/new/dir".into()).unwrap(), ["file"]);
    }

    #[test]
    fn owners_are_the_images() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (_folder, tree) = tree();
        let attributes = |owner: &str| Attributes { owner: Some(owner.into()), group: Some("www".into()), mode: None };
        tree.write("/f".into(), b"", attributes("www")).unwrap();
        let stat = tree.stat("/f".into()).unwrap().unwrap();
        assert_eq!((stat.uid, stat.gid, stat.mode), (33, 34, 0o644));
        assert_eq!(tree.write("/f".into(), b"", attributes("nobody-here")).unwrap_err().code, "usage.owner");
        assert_eq!(tree.list("/".into()).unwrap(), ["etc", "f"]);
    }

    #[test]
    fn links_are_made_replaced_and_resolved() {
        let (_folder, tree) = tree();
        tree.symlink("a".into(), "/l".into()).unwrap();
        tree.symlink("etc".into(), "/l".into()).unwrap();
        assert_eq!(tree.read_link("/l".into()).unwrap(), "etc");
        assert_eq!(tree.resolve("/l/passwd".into(), false).unwrap(), "/etc/passwd");
        assert_eq!(tree.symlink("x".into(), "/etc".into()).unwrap_err().code, "io.failed");
        // Writing at a link replaces the link.
        tree.write("/l".into(), b"x", Attributes::default()).unwrap();
        assert_eq!(tree.stat("/l".into()).unwrap().unwrap().kind, FileKind::File);
        assert!(tree.read("/etc".into()).is_err());
    }

    #[test]
    fn commands_run_inside_the_tree_without_a_network() {
        if !nix::unistd::geteuid().is_root() || !Utf8Path::new("/bin/busybox").exists() {
            return;
        }
        let (folder, tree) = tree();
        let root = folder.path().join("root");
        for name in ["bin", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let run = |argv: &[&str]| Run { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Run::default() };
        let output = tree.run(&run(&["/bin/busybox", "ls", "/"])).unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "bin\ndev\netc\nproc\nsys\ntmp\n");
        let output = tree.run(&run(&["/bin/busybox", "sh", "-c", "cat /proc/net/dev | grep -c :; exit 3"])).unwrap();
        assert_eq!((output.status, output.stdout.as_slice()), (3, b"1\n".as_slice()));
        // The command's mounts end with it.
        assert_eq!(std::fs::read_dir(root.join("dev")).unwrap().count(), 0);
        let slow = Run { timeout: Some(1), ..run(&["/bin/busybox", "sleep", "20"]) };
        assert_eq!(tree.run(&slow).unwrap_err().code, "command.timeout");
    }
}
