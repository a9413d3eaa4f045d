//! Digests of bytes as they pass.
//!
//! In: the bytes of a file, in order. Out: lower-case hex. Each algorithm has a thread of its own, so that whoever writes
//! the file does not wait for the slowest of them. Not here: digests of files that exist (`checksum`).

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::format::checksum::{Algorithm, hex};

/// Pieces that may wait for a thread.
const WAITING: usize = 4;

/// Running digests.
pub struct Digests {
    lanes: Vec<(Sender<Piece>, JoinHandle<String>, Algorithm)>,
}

#[derive(Clone)]
enum Piece {
    Bytes(Arc<Vec<u8>>),
    Zeros(u64),
}

impl Digests {
    /// Begins with nothing.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let lanes = algorithms.iter().map(|algorithm| {
            let (lane, arriving) = bounded(WAITING);
            let thread = match algorithm {
                Algorithm::Md5 => std::thread::spawn(move || digest::<Md5>(&arriving)),
                Algorithm::Sha256 => std::thread::spawn(move || digest::<Sha256>(&arriving)),
            };
            (lane, thread, *algorithm)
        });
        Self { lanes: lanes.collect() }
    }

    /// Adds bytes.
    pub fn bytes(&self, bytes: &[u8]) {
        if !self.lanes.is_empty() {
            self.add(&Piece::Bytes(Arc::new(bytes.to_vec())));
        }
    }

    /// Adds `number` zeros.
    pub fn zeros(&self, number: u64) {
        self.add(&Piece::Zeros(number));
    }

    fn add(&self, piece: &Piece) {
        for (lane, ..) in &self.lanes {
            // The thread ends after the last sender only.
            let _ = lane.send(piece.clone());
        }
    }

    /// The digests as (name, lower-case hex).
    pub fn finish(self) -> Vec<(String, String)> {
        let ended = self.lanes.into_iter().map(|(lane, thread, algorithm)| {
            drop(lane);
            let hex = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (algorithm.as_str().to_owned(), hex)
        });
        ended.collect()
    }
}

fn digest<D: Digest>(arriving: &Receiver<Piece>) -> String {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut state = D::new();
    for piece in arriving {
        match piece {
            Piece::Bytes(bytes) => state.update(bytes.as_slice()),
            Piece::Zeros(mut left) => {
                while left > 0 {
                    let part = left.min(ZEROS.len() as u64);
                    state.update(&ZEROS[..part as usize]);
                    left -= part;
                }
            }
        }
    }
    hex(&state.finalize())
}
