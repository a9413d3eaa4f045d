//! Both ends of a FIFO between this process and commands in a tree that come and go.
//!
//! In: a path. Out: a reading end that waits for writers until the loan is over, a writing end once somebody reads. A FIFO serves one
//! command after the other: who reads an answer reads to its end, or it would meet the next one while this process has not closed it
//! yet. Not here: what goes through.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use camino::Utf8Path;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use super::over::Over;

/// How long a FIFO that its last writer has left is not looked at, in milliseconds.
const GLANCE: u16 = 20;

/// Makes a FIFO.
///
/// # Errors
/// When the folder cannot be written.
pub fn make(path: &Utf8Path) -> io::Result<()> {
    nix::unistd::mkfifo(path.as_str(), Mode::from_bits_truncate(0o600)).map_err(io::Error::from)
}

/// The writing end of the FIFO at `path`, as soon as somebody reads; nothing when the loan is over, or when whoever asked is gone: then
/// somebody else asks.
///
/// # Errors
/// When it cannot be opened.
pub fn answer(path: &Utf8Path, asking: &Fifo, over: &Over) -> io::Result<Option<File>> {
    opened(path, over, || asking.has_bytes())
}

/// The same for somebody who still sends what is to be answered.
///
/// # Errors
/// When it cannot be opened.
pub fn waited_for(path: &Utf8Path, over: &Over) -> io::Result<Option<File>> {
    opened(path, over, || Ok(false))
}

fn opened(path: &Utf8Path, over: &Over, is_gone: impl Fn() -> io::Result<bool>) -> io::Result<Option<File>> {
    loop {
        if is_gone()? {
            return Ok(None);
        }
        match OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
            Ok(file) => {
                fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::empty()))?;
                return Ok(Some(file));
            }
            // Nobody reads yet.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
                if over.is_said() {
                    return Ok(None);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The reading end of a FIFO.
#[derive(Debug)]
pub struct Fifo {
    file: File,
}

impl Fifo {
    /// Makes the FIFO `path` and opens it before anybody writes: then the end of the file is the end of a writer, not its absence.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn make(path: &Utf8Path) -> io::Result<Self> {
        make(path)?;
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        Ok(Self { file })
    }

    /// Whether there are bytes to read at this moment.
    fn has_bytes(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO)?;
        Ok(fds[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLIN)))
    }

    /// Waits until there are bytes to read; `false` when the loan is over.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&self, over: &Over) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN), over.poll_fd()];
            poll(&mut fds, PollTimeout::NONE)?;
            let seen = fds[0].revents().unwrap_or(PollFlags::empty());
            if seen.contains(PollFlags::POLLIN) {
                return Ok(true);
            }
            // The writer of an earlier call is gone, which poll says at once and for ever.
            if over.is_said() || (seen.contains(PollFlags::POLLHUP) && over.wait(GLANCE)?) {
                return Ok(false);
            }
        }
    }

    /// What the present writer sends; an error when the loan is over before it has ended.
    pub fn until<'a>(&'a mut self, over: &'a Over) -> Until<'a> {
        Until { file: &mut self.file, over }
    }
}

/// The bytes of one writer.
#[derive(Debug)]
pub struct Until<'a> {
    file: &'a mut File,
    over: &'a Over,
}

impl Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN), self.over.poll_fd()];
                    poll(&mut fds, PollTimeout::NONE)?;
                    if fds[0].any() == Some(false) && self.over.is_said() {
                        return Err(io::Error::other("the command ended in the middle of its file"));
                    }
                }
                other => return other,
            }
        }
    }
}
