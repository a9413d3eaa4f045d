//! Reads what a command writes, saying each line as it comes.
//!
//! In: a pipe, and another that hangs up when the command has ended. Out: all bytes. A process that the command left behind
//! may hold the pipe for ever: after the end, a pipe that is silent or goes on for long is given up.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::event::Events;

/// After the command's end: how long a silence is the end of the output, in milliseconds.
const SILENCE: u8 = 200;
/// After the command's end: how long helpers may go on writing.
const GRACE: Duration = Duration::from_secs(1);
/// At least what a pipe holds, so that one read empties it.
const PIPE: usize = 64 << 10;

/// Reads `pipe` until nobody can write to it, or until shortly after `ended` hung up. `quiet`: no events.
pub(super) fn read(mut pipe: PipeReader, ended: &PipeReader, events: &Events, quiet: bool) -> Vec<u8> {
    let mut all = Vec::new();
    let mut said = 0;
    let mut since_end: Option<Instant> = None;
    let mut buffer = vec![0; PIPE];
    loop {
        let last = since_end.is_some_and(|end| end.elapsed() > GRACE);
        let ready = match since_end {
            None => {
                let mut both =
                    [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
                let polled = poll(&mut both, PollTimeout::NONE);
                if both[1].any() == Some(true) {
                    since_end = Some(Instant::now());
                }
                if both[0].any() == Some(true) { polled } else { continue }
            }
            Some(_) => {
                let wait = if last { PollTimeout::ZERO } else { PollTimeout::from(SILENCE) };
                poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], wait)
            }
        };
        match ready {
            Err(nix::Error::EINTR) => continue,
            Err(_) | Ok(0) => break,
            Ok(_) => {}
        }
        match pipe.read(&mut buffer) {
            Ok(length) if length > 0 => all.extend_from_slice(&buffer[..length]),
            _ => break,
        }
        if !quiet {
            while let Some(length) = all[said..].iter().position(|byte| *byte == b'\n') {
                say(&all[said..said + length], events);
                said += length + 1;
            }
        }
        if last {
            break;
        }
    }
    if !quiet && said < all.len() {
        say(&all[said..], events);
    }
    all
}

fn say(line: &[u8], events: &Events) {
    events.output(String::from_utf8_lossy(line).trim_end().to_owned());
}
