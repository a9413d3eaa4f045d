//! One read of a disk, for any number of images of it at once.
//!
//! In: a disk and the [`Sink`]s that want it. Out: what each of them wrote. Every chunk with data is read once and encoded for each
//! sink by whichever core is free; each sink has a thread that gets its chunks in order. Memory is bounded by the number of chunks
//! under way, whatever the disk's size. Not here: what a format looks like.
//!
//! ```text
//! feeder: data ranges -> jobs -> workers: read, encode for each sink -> one thread a sink: in order -> file
//!    ^------------------ buffers, a fixed number, which come back when the last sink is done with them ------'
//! ```

mod blocks;
mod chunk;
mod sink;
mod stream;
mod unit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::FormatError;
use super::reader::Disk;
use crate::event::{Events, Unit as Amount};

pub use blocks::Blocks;
pub use chunk::{CHUNK, Chunk, Encoded, PAGE};
pub use sink::{Sink, Written};
pub use stream::Stream;
pub use unit::{Coding, Compression, Encoder, Unit};

/// More threads than this do not help those that write, and cost memory.
const MOST_WORKERS: usize = 16;
/// Bytes that chunks under way may take, with what they were compressed to.
const MEMORY: usize = 128 << 20;

/// A chunk of the disk to be read: its number, counting from 0 without gaps, and where it is, in chunks.
struct Job {
    number: u64,
    index: u64,
    buffer: Vec<u8>,
}

type Lane = Sender<(u64, Encoded)>;

/// What everybody looks at.
struct Shared<'a> {
    disk: &'a dyn Disk,
    /// Somebody failed: the rest need not go on.
    stop: AtomicBool,
    failure: Mutex<Option<FormatError>>,
}

impl Shared<'_> {
    /// Notes the first failure and stops the others.
    fn fail(&self, error: FormatError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Gives all data of `disk` to `sinks`, and returns what they wrote, in their order. `workers` threads encode, one a core unless
/// said otherwise; their number does not change the result.
///
/// # Errors
/// The first thing that went wrong; what was written so far is left to the caller.
pub fn run(
    disk: &dyn Disk,
    sinks: Vec<Box<dyn Sink>>,
    workers: Option<usize>,
    events: &Events,
) -> Result<Vec<Written>, FormatError> {
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let workers = workers.unwrap_or(cores).clamp(1, MOST_WORKERS);
    // A chunk as it is, and what each sink that compresses makes of it.
    let cost = CHUNK as usize * (1 + sinks.iter().filter(|sink| sink.coding().compresses()).count());
    let slots = (MEMORY / cost).clamp(2, workers * 2 + 2);
    let shared = Shared { disk, stop: AtomicBool::new(false), failure: Mutex::new(None) };
    let codings: Vec<Coding> = sinks.iter().map(|sink| sink.coding()).collect();
    let (buffer_in, buffer_out) = bounded::<Vec<u8>>(slots);
    let (job_in, job_out) = bounded::<Job>(slots);
    for _ in 0..slots {
        // Cannot block or fail: the channel has room and its other end is alive.
        let _ = buffer_in.send(Vec::new());
    }
    let written: Vec<Option<Written>> = thread::scope(|scope| {
        let (lanes, writers): (Vec<Lane>, Vec<_>) = sinks
            .into_iter()
            .map(|sink| {
                let (lane, arriving) = bounded(slots);
                let shared = &shared;
                (lane, scope.spawn(move || collect(shared, sink, &arriving)))
            })
            .unzip();
        for _ in 0..workers {
            let (jobs, lanes, buffers) = (job_out.clone(), lanes.clone(), buffer_in.clone());
            let (shared, codings) = (&shared, &codings);
            scope.spawn(move || work(shared, codings, &jobs, &lanes, &buffers));
        }
        drop((job_out, lanes, buffer_in));
        if let Err(error) = feed(&shared, &buffer_out, job_in, events) {
            shared.fail(error);
        }
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    if let Some(error) = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    events.progress("image", disk.size(), disk.size(), Amount::Bytes);
    Ok(written.into_iter().flatten().collect())
}

/// Makes a job of every chunk that has data, as buffers become free.
fn feed(
    shared: &Shared<'_>,
    buffers: &Receiver<Vec<u8>>,
    jobs: Sender<Job>,
    events: &Events,
) -> Result<(), FormatError> {
    let size = shared.disk.size();
    let (mut number, mut next, mut at) = (0, 0, 0);
    while let Some(range) = shared.disk.next_data(at)? {
        for index in (range.start / CHUNK).max(next)..range.end.min(size).div_ceil(CHUNK) {
            let Ok(buffer) = buffers.recv() else { return Ok(()) };
            if shared.stopped() || jobs.send(Job { number, index, buffer }).is_err() {
                return Ok(());
            }
            number += 1;
            next = index + 1;
            if number.is_multiple_of(8) {
                events.progress("image", (next * CHUNK).min(size), size, Amount::Bytes);
            }
        }
        at = range.end.max(next * CHUNK).max(at + 1);
        if at >= size {
            break;
        }
    }
    Ok(())
}

fn work(shared: &Shared<'_>, codings: &[Coding], jobs: &Receiver<Job>, lanes: &[Lane], buffers: &Sender<Vec<u8>>) {
    let broken = |reason| FormatError::Compress { reason };
    let mut encoders = match codings.iter().map(|coding| Encoder::new(*coding)).collect::<Result<Vec<_>, _>>() {
        Ok(encoders) => encoders,
        Err(reason) => return shared.fail(broken(reason)),
    };
    for job in jobs {
        let chunk = Arc::new(Chunk::new(job.index, job.buffer, buffers.clone()));
        if shared.stopped() {
            continue;
        }
        if let Err(error) = fill(shared, chunk, job.number, &mut encoders, lanes) {
            shared.fail(error);
        }
    }
}

/// Reads a chunk and sends it, encoded for each.
fn fill(
    shared: &Shared<'_>,
    mut chunk: Arc<Chunk>,
    number: u64,
    encoders: &mut [Encoder],
    lanes: &[Lane],
) -> Result<(), FormatError> {
    if let Some(chunk) = Arc::get_mut(&mut chunk) {
        chunk.read(shared.disk)?;
    }
    for (encoder, lane) in encoders.iter_mut().zip(lanes) {
        let units = encoder.encode(chunk.bytes()).map_err(|reason| FormatError::Compress { reason })?;
        // Its reader lives as long as anybody sends.
        let _ = lane.send((number, Encoded::new(Arc::clone(&chunk), encoder.unit(), units)));
    }
    Ok(())
}

/// Puts what the workers did in order and gives it to the sink.
fn collect(shared: &Shared<'_>, mut sink: Box<dyn Sink>, arriving: &Receiver<(u64, Encoded)>) -> Option<Written> {
    let mut early: BTreeMap<u64, Encoded> = BTreeMap::new();
    let mut next = 0;
    for (number, encoded) in arriving {
        // What is dropped gives its buffer back.
        if shared.stopped() {
            early.clear();
            continue;
        }
        early.insert(number, encoded);
        while let Some(encoded) = early.remove(&next) {
            next += 1;
            if let Err(error) = sink.add(&encoded) {
                shared.fail(error);
                early.clear();
            }
        }
    }
    if shared.stopped() {
        return None;
    }
    sink.finish().map_err(|error| shared.fail(error)).ok()
}
