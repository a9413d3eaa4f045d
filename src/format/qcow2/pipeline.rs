//! Reads and encodes a disk on all cores and hands its clusters on in order.
//!
//! ```text
//! feeder: data ranges -> jobs -> workers: read, encode -> results -> writer: puts them in order -> Image
//!    ^---------------------------- slots, which bound what is under way ---------------------------'
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;

use camino::Utf8Path;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::cluster::{Cluster, Encoder};
use super::image::Image;
use super::{CLUSTER, Options};
use crate::event::{Events, Unit};
use crate::format::FormatError;
use crate::format::sparse::Extents;

/// Clusters in a job: 1 MiB.
const BATCH: u64 = 16;
/// More threads than this do not help the one that writes, and cost memory.
const MOST_WORKERS: usize = 32;

/// The disk to read.
pub struct Input<'a> {
    /// The raw image.
    pub file: &'a File,
    /// Its path, for errors.
    pub path: &'a Utf8Path,
    /// Its size in bytes.
    pub size: u64,
    /// How to encode.
    pub options: &'a Options,
}

/// A job: its number, counting from 0 without gaps, and which batch of the disk it is.
struct Job {
    number: u64,
    batch: u64,
}

type Encoded = Result<Vec<Cluster>, FormatError>;
type Done = (Job, Encoded);

/// Encodes all data of `input` into `image`.
pub fn run(input: &Input<'_>, image: &mut Image, events: &Events) -> Result<(), FormatError> {
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let workers = input.options.workers.unwrap_or(cores).clamp(1, MOST_WORKERS);
    // Each slot is at most 2 MiB of memory: read and encoded.
    let slots = workers * 2 + 2;
    let (slot_in, slot_out) = bounded::<()>(slots);
    let (job_in, job_out) = bounded::<Job>(slots);
    let (done_in, done_out) = bounded::<Done>(slots);
    for _ in 0..slots {
        // Cannot block or fail: the channel has room and its other end is alive.
        let _ = slot_in.send(());
    }
    let path = image.path().to_owned();
    thread::scope(|scope| {
        let feeder = scope.spawn(move || feed(input, &slot_out, &job_in));
        for _ in 0..workers {
            let (job_out, done_in, path) = (job_out.clone(), done_in.clone(), path.as_path());
            scope.spawn(move || work(input, path, &job_out, &done_in));
        }
        drop((job_out, done_in));
        // Ends with the last job, or early with an error; then the slots are gone, and with them feeder and workers.
        let written = collect(input.size, image, done_out, slot_in, events);
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(fed)
    })?;
    events.progress("qcow2", input.size, input.size, Unit::Bytes);
    Ok(())
}

/// Makes a job of every batch that has data, as slots become free.
fn feed(input: &Input<'_>, slots: &Receiver<()>, jobs: &Sender<Job>) -> Result<(), FormatError> {
    let batch_size = BATCH * CLUSTER;
    let (mut number, mut next) = (0, 0);
    for extent in Extents::new(input.file, input.size) {
        let extent = extent.map_err(FormatError::io("read", input.path))?;
        for batch in (extent.start / batch_size).max(next)..extent.end.div_ceil(batch_size) {
            if slots.recv().is_err() || jobs.send(Job { number, batch }).is_err() {
                // The writer failed and says why.
                return Ok(());
            }
            number += 1;
            next = batch + 1;
        }
    }
    Ok(())
}

fn work(input: &Input<'_>, path: &Utf8Path, jobs: &Receiver<Job>, done: &Sender<Done>) {
    let broken = |reason| FormatError::Compress { path: path.to_owned(), reason };
    let mut encoder = Encoder::new(input.options.compression);
    let mut buffer = vec![0; (BATCH * CLUSTER) as usize];
    for job in jobs {
        let encoded = match &mut encoder {
            Ok(encoder) => read(input, job.batch, &mut buffer).and_then(|clusters| {
                clusters.chunks(CLUSTER as usize).map(|cluster| encoder.encode(cluster).map_err(broken)).collect()
            }),
            Err(reason) => Err(broken(reason.clone())),
        };
        if done.send((job, encoded)).is_err() {
            return;
        }
    }
}

/// Reads a batch; what lies behind the end of the disk in its last cluster is zero.
fn read<'a>(input: &Input<'_>, batch: u64, buffer: &'a mut [u8]) -> Result<&'a [u8], FormatError> {
    let start = batch * BATCH * CLUSTER;
    let length = (input.size - start).min(BATCH * CLUSTER) as usize;
    let whole = length.next_multiple_of(CLUSTER as usize);
    input.file.read_exact_at(&mut buffer[..length], start).map_err(FormatError::io("read", input.path))?;
    buffer[length..whole].fill(0);
    Ok(&buffer[..whole])
}

/// Puts what the workers did in order and adds it to the image.
fn collect(
    size: u64,
    image: &mut Image,
    done: Receiver<Done>,
    slots: Sender<()>,
    events: &Events,
) -> Result<(), FormatError> {
    let mut early: BTreeMap<u64, (u64, Encoded)> = BTreeMap::new();
    let mut next = 0;
    for (job, encoded) in done {
        early.insert(job.number, (job.batch, encoded));
        while let Some((batch, encoded)) = early.remove(&next) {
            for (index, cluster) in (batch * BATCH..).zip(encoded?) {
                image.add(index, cluster)?;
            }
            next += 1;
            // Fails when the feeder has ended: then there is nothing left to bound.
            let _ = slots.try_send(());
            if next.is_multiple_of(16) {
                events.progress("qcow2", ((batch + 1) * BATCH * CLUSTER).min(size), size, Unit::Bytes);
            }
        }
    }
    Ok(())
}
