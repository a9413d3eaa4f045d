//! The end of a loan, which threads that wait for something else notice at once.
//!
//! In: one word that it is over. Out: the same, to be asked for or polled for. Not here: what they wait for (`fifo`).

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::Mutex;

use nix::poll::{PollFd, PollFlags, poll};

/// Whether the loan is over.
#[derive(Debug)]
pub struct Over {
    /// Held until it is said.
    writer: Mutex<Option<PipeWriter>>,
    /// Has no writer any more once it is said, which poll tells.
    reader: PipeReader,
}

impl Over {
    /// Not said yet.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { writer: Mutex::new(Some(writer)), reader })
    }

    /// Says it.
    pub fn say(&self) {
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }

    /// Whether it was said.
    pub fn is_said(&self) -> bool {
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_none()
    }

    /// Waits for it, at most so many milliseconds; whether it was said.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&self, milliseconds: u16) -> io::Result<bool> {
        poll(&mut [self.poll_fd()], milliseconds)?;
        Ok(self.is_said())
    }

    /// To poll for it beside other things.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)
    }
}
