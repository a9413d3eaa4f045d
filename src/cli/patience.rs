//! Ends a command that what it reads keeps busy, or fills the memory with: a file system can be made so that walking it takes forever.
//!
//! In: signs of progress. Out: a call, once the program has computed for long without any, or holds too much. For commands that leave
//! nothing behind wherever they end. Not here: the limits that a reader keeps itself (`inspect/`).

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How often is looked. Memory fills at some GiB/s.
const PERIOD: Duration = Duration::from_millis(50);

/// What is too much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the processor's time, without progress: a reader of the output that is slow costs none.
    pub time: Duration,
    /// Of memory in use, bytes.
    pub memory: u64,
}

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The processor's time.
    Time,
    /// Memory.
    Memory,
}

/// Watches as long as it lives.
pub struct Patience {
    /// The processor's time at the last sign of progress, ms.
    seen: Arc<AtomicU64>,
}

impl Patience {
    /// Begins to watch; `end` is called, on a thread of its own, when it is too much. Where no thread can be had, nobody watches.
    pub fn begin(limits: Limits, end: impl FnOnce(Excess) + Send + 'static) -> Self {
        let seen = Arc::new(AtomicU64::new(processor_time()));
        let watched = Arc::downgrade(&seen);
        let watch = move || {
            loop {
                thread::sleep(PERIOD);
                let Some(seen) = watched.upgrade() else { return };
                let spent = processor_time().saturating_sub(seen.load(Ordering::Relaxed));
                if Duration::from_millis(spent) >= limits.time {
                    return end(Excess::Time);
                }
                if memory().is_some_and(|memory| memory >= limits.memory) {
                    return end(Excess::Memory);
                }
            }
        };
        drop(thread::Builder::new().spawn(watch));
        Self { seen }
    }

    /// A writer to `out` whose every piece of output is progress.
    pub fn watch<W: Write>(&self, out: W) -> Watched<'_, W> {
        Watched { patience: self, out }
    }
}

/// A writer whose every piece of output is progress.
pub struct Watched<'a, W> {
    patience: &'a Patience,
    out: W,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patience.seen.store(processor_time(), Ordering::Relaxed);
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What all threads of this program have computed, ms.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1_000_000
}

/// Memory that this program has in use, bytes (proc_pid_status(5)).
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok().map(|kib: u64| kib << 10)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const NEVER: Limits = Limits { time: Duration::from_secs(36_000), memory: 1 << 50 };

    /// Computes without an end, until somebody has enough of it.
    fn ended(limits: Limits) -> Excess {
        let (tell, told) = mpsc::channel();
        let _patience = Patience::begin(limits, move |excess| tell.send(excess).unwrap());
        loop {
            if let Ok(excess) = told.try_recv() {
                return excess;
            }
            std::hint::spin_loop();
        }
    }

    #[test]
    fn who_computes_without_an_end_is_ended_and_so_is_who_takes_all_memory() {
        let before = processor_time();
        assert_eq!(ended(Limits { time: Duration::from_millis(100), ..NEVER }), Excess::Time);
        assert!(processor_time() - before >= 100);
        assert_eq!(ended(Limits { memory: 1 << 20, ..NEVER }), Excess::Memory);
    }

    #[test]
    fn output_is_progress() {
        let patience = Patience::begin(NEVER, |_| ());
        patience.seen.store(0, Ordering::Relaxed);
        patience.watch(io::sink()).write_all(b"a").unwrap();
        assert!(patience.seen.load(Ordering::Relaxed) > 0);
    }
}
