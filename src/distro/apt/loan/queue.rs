//! Plain package data that waits to be unpacked.
//!
//! In: the bytes of archives from one thread, the number of the archive that is wanted from another, both in order. Out: its bytes,
//! as they come. At most [`LIMIT`] bytes wait. Not here: where they come from (`unpacking`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may wait at once; the block that goes beyond still does.
const LIMIT: usize = 256 << 20;

/// What waits.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What comes before is not asked for any more.
    wanted: usize,
    archives: BTreeMap<usize, Archive>,
    waiting: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Archive {
    blocks: VecDeque<Vec<u8>>,
    end: Option<End>,
}

/// How the data of an archive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was there.
    Whole,
    /// It could not be read, or nobody waits any more.
    Broken,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes.
    Block(Vec<u8>),
    /// No more.
    End(End),
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes to the archive of that number as soon as there is room; `false` when nobody wants them.
    pub fn add(&self, number: usize, block: Vec<u8>) -> bool {
        let mut state = self.lock();
        while !state.closed && number >= state.wanted {
            if state.waiting < LIMIT {
                state.waiting += block.len();
                state.archives.entry(number).or_default().blocks.push_back(block);
                self.changed.notify_all();
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    /// Ends the archive of that number.
    pub fn end(&self, number: usize, end: End) {
        let mut state = self.lock();
        if number >= state.wanted {
            state.archives.entry(number).or_default().end = Some(end);
        }
        self.changed.notify_all();
    }

    /// The archive of that number is wanted now, none before it any more.
    pub fn want(&self, number: usize) {
        let mut state = self.lock();
        let later = state.archives.split_off(&number);
        let passed = std::mem::replace(&mut state.archives, later);
        state.waiting -= passed.values().flat_map(|archive| &archive.blocks).map(Vec::len).sum::<usize>();
        state.wanted = state.wanted.max(number);
        self.changed.notify_all();
    }

    /// Waits for more of the archive that is wanted.
    pub fn next(&self) -> Next {
        let mut state = self.lock();
        loop {
            let wanted = state.wanted;
            let archive = state.archives.entry(wanted).or_default();
            if let Some(block) = archive.blocks.pop_front() {
                state.waiting -= block.len();
                self.changed.notify_all();
                return Next::Block(block);
            }
            if let Some(end) = archive.end {
                return Next::End(end);
            }
            if state.closed {
                return Next::End(End::Broken);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody wants anything any more, or nothing more comes.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_come_in_order_and_what_is_passed_over_makes_room() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            let filling = scope.spawn(|| {
                let taken: Vec<bool> = (0..4)
                    .map(|number| {
                        let taken = (0..3).all(|block| queue.add(number, vec![number as u8 * 3 + block; LIMIT / 3]));
                        queue.end(number, if number == 3 { End::Broken } else { End::Whole });
                        taken
                    })
                    .collect();
                queue.close();
                taken
            });
            let read = |number: usize| {
                queue.want(number);
                let mut first = Vec::new();
                loop {
                    match queue.next() {
                        Next::Block(block) => first.push(block[0]),
                        Next::End(end) => return (first, end),
                    }
                }
            };
            assert_eq!(read(0), (vec![0, 1, 2], End::Whole));
            assert_eq!(read(2), (vec![6, 7, 8], End::Whole));
            assert_eq!(read(3), (vec![9, 10, 11], End::Broken));
            assert_eq!(read(4), (vec![], End::Broken));
            let taken = filling.join().unwrap();
            assert_eq!([taken[0], taken[2], taken[3]], [true; 3]);
        });
    }
}
