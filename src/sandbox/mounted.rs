//! File systems mounted for a while in this process's own mount namespace.
//!
//! In: a device, a kind, a folder. Out: a [`Mounted`] that is unmounted when dropped. Not here: what is on them, overlays
//! (`overlay`), what only one piece of work sees (`mount`).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::mount_table;

/// A process that was told to end may take a moment.
const PATIENCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// How many of those that still use a file system an error names.
const NAMED: usize = 5;

mod request {
    //! `FITRIM` of the kernel's `linux/fs.h`.

    /// `struct fstrim_range`.
    #[repr(C)]
    pub struct TrimRange {
        pub start: u64,
        pub length: u64,
        pub least: u64,
    }

    nix::ioctl_readwrite!(trim, b'X', 121, TrimRange);
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    at: Option<Utf8PathBuf>,
}

impl Mounted {
    /// Mounts the file system of `kind` on `device` at the folder `at`. With `options` that this kernel does not know, it is
    /// mounted without any.
    ///
    /// # Errors
    /// When the kernel refuses: it has no driver for it, or the file system is damaged.
    pub fn device(device: &Utf8Path, kind: &str, options: &str, at: &Utf8Path) -> io::Result<Self> {
        let attempt = |options: Option<&str>| {
            mount(Some(device.as_std_path()), at.as_std_path(), Some(kind), MsFlags::empty(), options)
        };
        match attempt(Some(options)) {
            Err(Errno::EINVAL) if !options.is_empty() => attempt(None)?,
            other => other?,
        }
        Ok(Self { at: Some(at.to_owned()) })
    }

    /// Mounts the subvolume `name` of the file system of `kind` (btrfs) on `device` at the folder `at`.
    ///
    /// # Errors
    /// As [`device`](Self::device), and when there is no such subvolume.
    pub fn subvolume(device: &Utf8Path, kind: &str, name: &str, at: &Utf8Path) -> io::Result<Self> {
        let options = format!("subvol={name}");
        mount(Some(device.as_std_path()), at.as_std_path(), Some(kind), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { at: Some(at.to_owned()) })
    }

    /// Mounts memory, at most `size` bytes, at the folder `at`. The table of mounts names `source` for it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn memory(source: &str, size: u64, at: &Utf8Path) -> io::Result<Self> {
        let options = format!("size={size},mode=755");
        mount(Some(source), at.as_std_path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { at: Some(at.to_owned()) })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Utf8Path {
        self.at.as_deref().unwrap_or(Utf8Path::new(""))
    }

    /// Makes it read-only and tells the device which blocks are free: a sparse image file then has holes there. Returns how many
    /// bytes were told.
    ///
    /// # Errors
    /// When the file system or the device cannot, or a file is still open for writing.
    pub fn trim(&self) -> io::Result<u64> {
        // Blocks are free when the journal says so, and syncs do nothing inside the builder.
        let (none, read_only) = (None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
        mount(none, self.path().as_std_path(), none, read_only, none)?;
        let folder = File::open(self.path())?;
        let mut range = request::TrimRange { start: 0, length: u64::MAX, least: 0 };
        // SAFETY: the structure is the kernel's and outlives the call.
        #[expect(unsafe_code, reason = "no crate has it")]
        unsafe { request::trim(folder.as_raw_fd(), &raw mut range) }?;
        Ok(range.length)
    }

    /// Leaves it mounted: it goes with the builder's namespace.
    pub fn stay(mut self) {
        self.at = None;
    }

    /// Unmounts it: what was written is then on its device.
    ///
    /// # Errors
    /// When something still uses it after five seconds; the error names the processes.
    pub fn unmount(mut self) -> io::Result<()> {
        let Some(at) = self.at.take() else { return Ok(()) };
        for attempt in 0.. {
            match umount2(at.as_std_path(), MntFlags::UMOUNT_NOFOLLOW) {
                Err(Errno::EBUSY) if attempt < PATIENCE => std::thread::sleep(PAUSE),
                Err(Errno::EBUSY) => {
                    let users = users(&at);
                    let users = if users.is_empty() { String::new() } else { format!(": {}", users.join(", ")) };
                    self.at = Some(at);
                    let text = format!("something still uses it{users}");
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
                }
                Err(error) => {
                    self.at = Some(at);
                    return Err(error.into());
                }
                Ok(()) => break,
            }
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            let _ = umount2(at.as_std_path(), MntFlags::MNT_DETACH);
        }
    }
}

/// Takes away every mount below the folder `at` that is not in `kept`, the latest first.
///
/// # Errors
/// When the table of mounts cannot be read, or one cannot be taken away.
pub fn detach_others(at: &Utf8Path, kept: &[&Utf8Path]) -> io::Result<()> {
    let at = at.canonicalize_utf8()?;
    let kept: Vec<Utf8PathBuf> = kept.iter().filter_map(|path| path.canonicalize_utf8().ok()).collect();
    let mut seen = Vec::new();
    let mut others = Vec::new();
    for point in mount_table::table()?.into_iter().map(|entry| entry.at) {
        if !point.starts_with(&at) {
            continue;
        }
        // Of two mounts at one place the first is the kept one.
        let first = !seen.contains(&point);
        if point != at && !(first && kept.contains(&point)) {
            others.push(point.clone());
        }
        seen.push(point);
    }
    for point in others.iter().rev() {
        match umount2(point.as_std_path(), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Went with another.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Processes with a folder or file open below `at`: `bash (4711)`.
fn users(at: &Utf8Path) -> Vec<String> {
    let uses = |process: &Utf8Path| {
        let links = ["cwd", "root", "exe"].map(|name| process.join(name));
        let open = process.join("fd").read_dir_utf8().into_iter().flatten().filter_map(Result::ok);
        let mut all = links.into_iter().chain(open.map(|entry| entry.path().to_owned()));
        all.any(|link| link.read_link_utf8().is_ok_and(|to| to.starts_with(at)))
    };
    let processes = Utf8Path::new("/proc").read_dir_utf8().into_iter().flatten().filter_map(Result::ok);
    let numbers = processes.filter(|entry| entry.file_name().bytes().all(|byte| byte.is_ascii_digit()));
    let named = |entry: camino::Utf8DirEntry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        format!("{} ({})", name.trim(), entry.file_name())
    };
    numbers.filter(|entry| uses(entry.path())).map(named).take(NAMED).collect()
}
