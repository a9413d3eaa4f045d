//! Starts a finished image in QEMU.
//!
//! In: an image, a pattern. Out: whether its serial console printed text that matches, with what it printed on the way. KVM
//! is tried first; where guests crash or hang in it, as in many nested machines, the same guest is started once more in
//! QEMU's own emulation. The image is never written. Not here: printing (`cli/`), making images.

mod console;
mod error;
mod firmware;
mod machine;
mod session;
mod watch;

use std::fs::OpenOptions;
use std::time::{Duration, Instant};

use regex::bytes::Regex;

pub use error::VmError;
pub use firmware::{Firmware, find as find_firmware};
pub use machine::{Arch, DiskFormat, Machine};
pub use watch::Accelerator;

use watch::{Verdict, Watch};

/// What happens while a guest boots.
#[derive(Debug)]
pub enum Report<'a> {
    /// The guest wrote to its console.
    Console {
        /// As it came, with terminal sequences.
        raw: &'a [u8],
        /// Without them.
        plain: &'a [u8],
    },
    /// Something about the machine, one line.
    Note(&'a str),
}

/// How an image was seen to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booted {
    /// What carried it out.
    pub accelerator: Accelerator,
    /// From QEMU's start to the text.
    pub time: Duration,
}

/// Boots `machine` until its console shows text that matches `until`, then ends it. `limit` is for one attempt: a guest that is
/// started again without KVM has all of it again.
///
/// # Errors
/// When QEMU is missing or ends, the time is up, the guest cannot go on, or the user interrupts.
pub fn boot(
    machine: &Machine,
    until: &Regex,
    limit: Duration,
    report: &mut dyn FnMut(Report<'_>),
) -> Result<Booted, VmError> {
    if offers_kvm(machine.arch, report) {
        match attempt(machine, Accelerator::Kvm, until, limit, report) {
            Err(error @ VmError::KvmUnusable { .. }) => {
                report(Report::Note(&format!("{error}; starting it again without KVM, which is slow")));
            }
            other => return other,
        }
    }
    attempt(machine, Accelerator::Tcg, until, limit, report)
}

fn attempt(
    machine: &Machine,
    accelerator: Accelerator,
    until: &Regex,
    limit: Duration,
    report: &mut dyn FnMut(Report<'_>),
) -> Result<Booted, VmError> {
    let start = Instant::now();
    // Longer than any boot, short enough for the clock's arithmetic.
    let limit = limit.min(Duration::from_secs(366 * 86_400));
    let mut watch = Watch::new(accelerator, until, limit, start);
    let mut complaints = Vec::new();
    let verdict = session::run(machine, accelerator, &mut watch, &mut complaints, report)?;
    let (pattern, last) = (until.as_str().to_owned(), watch.last_line());
    match verdict {
        Verdict::Reached => Ok(Booted { accelerator, time: start.elapsed() }),
        Verdict::KvmUnusable(reason) => Err(VmError::KvmUnusable { reason }),
        Verdict::TimedOut => Err(VmError::TimedOut { pattern, seconds: limit.as_secs(), last }),
        Verdict::Doomed(reason) => Err(VmError::Doomed { reason, last }),
        Verdict::Ended(status) => Err(VmError::Ended { status, pattern, last, complaints }),
    }
}

/// Whether the processor and the kernel may carry the guest out themselves.
fn offers_kvm(arch: Arch, report: &mut dyn FnMut(Report<'_>)) -> bool {
    if Arch::named(std::env::consts::ARCH).ok() != Some(arch) {
        return false;
    }
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    if let Err(error) = &opened {
        report(Report::Note(&format!("no KVM ({error} at /dev/kvm); the guest is emulated, which is slow")));
    }
    opened.is_ok()
}
