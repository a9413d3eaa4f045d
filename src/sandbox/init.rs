//! The habits of the builder as the first process of its namespace.
//!
//! In: nothing. Out: a process that dies with its parent, whose syncs are free, and that can end all others of the build.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::seccomp;

/// Makes this process the builder it was started to be. Returns a warning when syncs could not be made free: that only costs
/// time.
///
/// # Errors
/// When it is not the first process of a PID namespace (someone typed the internal verb), or the kernel refuses.
pub fn become_builder() -> io::Result<Option<String>> {
    if nix::unistd::getpid().as_raw() != 1 {
        return Err(io::Error::other("the builder is started by `kiln build` and by nothing else"));
    }
    // /proc shall show the build's own processes: tools of the image look there.
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    mount(Some("proc"), "/proc", Some("proc"), hidden, None::<&str>)?;
    // Inherited for their locks; commands must not hold them.
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|text| text.parse::<i32>().ok()).filter(|number| *number > 2) {
            close_on_exec(number);
        }
    }
    Ok(seccomp::ignore_sync().err().map(|error| format!("{error}; the build only takes longer")))
}

fn close_on_exec(number: i32) {
    // Opening through /proc would make a new description; the flag is set on the number itself.
    // SAFETY: only borrowed for one fcntl call; a number that was closed meanwhile gives EBADF.
    #[expect(unsafe_code, reason = "a descriptor that was inherited has no owner yet")]
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let _ = nix::fcntl::fcntl(fd.as_fd(), nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC));
}

/// Kills every other process of the build: what a step started ends with the step.
pub fn end_all_others() {
    if nix::unistd::getpid().as_raw() != 1 {
        return;
    }
    // As the first process of the namespace, -1 means everybody but us.
    if kill(Pid::from_raw(-1), Signal::SIGKILL).is_err() {
        return;
    }
    while waitpid(Pid::from_raw(-1), Some(WaitPidFlag::empty())).is_ok() {}
}

/// Makes a finished file, or a folder's names, durable.
///
/// # Errors
/// When it cannot be opened or synced.
pub fn sync(path: &camino::Utf8Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes everything of the file system that holds `path` to disk.
///
/// # Errors
/// When it cannot be opened or written.
pub fn sync_file_system(path: &camino::Utf8Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(path)?).map_err(io::Error::from)
}
