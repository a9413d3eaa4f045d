//! One run of QEMU, from its start to a verdict.
//!
//! In: an argument list, a watch. Out: the verdict; QEMU has ended by then. Two threads read its pipes, one waits for the
//! user's interrupt; the judge is the thread that called, since QEMU dies with the thread that started it.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use signal_hook::iterator::{Handle, Signals};

use super::Report;
use super::error::VmError;
use super::machine::Machine;
use super::watch::{Accelerator, Verdict, Watch};
use crate::sandbox::{child, signals};

enum Happening {
    Console(Vec<u8>),
    Complaint(String),
    /// One of the two pipes is closed: QEMU is ending.
    Closed,
    Interrupt,
}

/// Runs `machine` until `watch` has a verdict. Lines that QEMU wrote to standard error are added to `complaints`.
pub(super) fn run(
    machine: &Machine,
    accelerator: Accelerator,
    watch: &mut Watch<'_>,
    complaints: &mut Vec<String>,
    report: &mut dyn FnMut(Report<'_>),
) -> Result<Verdict, VmError> {
    let program = machine.arch.program();
    let failed = |source| VmError::Run { program, source };
    let (sender, happenings) = unbounded();
    let _interrupts = Interrupts::forward(sender.clone()).map_err(failed)?;
    let (qemu, pipes) = child::start(&machine.argv(accelerator)).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => VmError::NoEmulator { program, package: machine.arch.package() },
        _ => failed(source),
    })?;
    let (console, stderr) = (pipes.stdout, pipes.stderr);
    let to = sender.clone();
    thread::spawn(move || read_console(console, &to));
    thread::spawn(move || read_complaints(stderr, &sender));
    let verdict = judge(watch, &happenings, complaints, report);
    match verdict? {
        Some(verdict) => {
            qemu.kill();
            Ok(verdict)
        }
        None => {
            let status = qemu.wait().map_err(failed)?;
            Ok(watch.ended(status, complaints))
        }
    }
}

/// `None` when QEMU closed its pipes without a verdict before.
fn judge(
    watch: &mut Watch<'_>,
    happenings: &Receiver<Happening>,
    complaints: &mut Vec<String>,
    report: &mut dyn FnMut(Report<'_>),
) -> Result<Option<Verdict>, VmError> {
    let mut open = 2;
    while open > 0 {
        let verdict = match happenings.recv_deadline(watch.wake()) {
            Ok(Happening::Console(bytes)) => {
                let (plain, verdict) = watch.wrote(&bytes, Instant::now());
                report(Report::Console { raw: &bytes, plain: &plain });
                verdict
            }
            Ok(Happening::Complaint(line)) => {
                let verdict = watch.complained(&line);
                complaints.push(line);
                verdict
            }
            Ok(Happening::Interrupt) => return Err(VmError::Interrupted),
            Ok(Happening::Closed) => {
                open -= 1;
                None
            }
            Err(RecvTimeoutError::Timeout) => watch.quiet(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        };
        // A guest that never stops printing has a limit too.
        let verdict = verdict.or_else(|| watch.quiet(Instant::now()));
        if verdict.is_some() {
            return Ok(verdict);
        }
    }
    Ok(None)
}

/// A serial port writes byte by byte, and all recent text is searched after each piece: this long its bytes are left to gather, or
/// the search takes the processor from the guest. A prompt in the middle of a piece is looked for in few bytes.
const GATHERING: Duration = Duration::from_millis(20);

fn read_console(mut pipe: PipeReader, to: &Sender<Happening>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let _ = to.send(Happening::Console(buffer[..length].to_vec()));
        thread::sleep(GATHERING);
    }
    let _ = to.send(Happening::Closed);
}

fn read_complaints(pipe: PipeReader, to: &Sender<Happening>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let _ = to.send(Happening::Complaint(String::from_utf8_lossy(&line).trim_end().to_owned()));
    }
    let _ = to.send(Happening::Closed);
}

/// Turns signals into happenings while it lives.
struct Interrupts(Handle);

impl Interrupts {
    fn forward(to: Sender<Happening>) -> std::io::Result<Self> {
        let mut signals = Signals::new(signals::that_end())?;
        let handle = signals.handle();
        thread::spawn(move || {
            for _ in signals.forever() {
                let _ = to.send(Happening::Interrupt);
            }
        });
        Ok(Self(handle))
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.0.close();
    }
}
