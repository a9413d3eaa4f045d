//! The tables of an image that are in memory: the last few that were used.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::FormatError;
use super::container::Container;

/// Bytes of tables that are kept.
const MOST: usize = 16 << 20;

/// Tables by their offset, those used lately near the front.
#[derive(Default)]
pub struct Tables {
    kept: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl Tables {
    /// The `length` bytes at `offset` of `file`.
    pub fn get(&self, file: &Container, offset: u64, length: u64) -> Result<Arc<Vec<u8>>, FormatError> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            if let Some(at) = kept.iter().position(|(known, _)| *known == offset) {
                kept.rotate_left(at);
                if let Some((_, table)) = kept.front() {
                    return Ok(Arc::clone(table));
                }
            }
        }
        // Read without the lock: two threads may read the same table, once.
        let table = Arc::new(file.table(offset, length)?);
        let mut kept = lock();
        kept.push_front((offset, Arc::clone(&table)));
        while kept.len() > 1 && kept.iter().map(|(_, table)| table.len()).sum::<usize>() > MOST {
            kept.pop_back();
        }
        Ok(table)
    }
}
