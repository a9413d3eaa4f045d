//! Decompresses large packages while the base is being configured, which keeps one core busy and no more.
//!
//! In: package data in the order of its length. Out: the same data, plain, in files without a name. Nothing is put into the
//! tree: scripts of the base (systemd-sysusers, pam-auth-update) would see what is not theirs yet. Not here: unpacking.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use camino::Utf8Path;

/// Archives shorter than this many bytes are decompressed when their turn comes.
pub const WORTH: u64 = 2 << 20;

/// Plain bytes that may lie ready at once.
const LIMIT: u64 = 2 << 30;

/// Data that is ready, or on its way, by the position of the package.
#[derive(Debug, Default)]
pub struct Ahead {
    /// `None`: on its way.
    data: Mutex<HashMap<usize, Option<File>>>,
    ready: Condvar,
    over: AtomicBool,
}

impl Ahead {
    /// From now on nothing new is begun.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether there is still time.
    pub fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Copies the data of the package at `position`, of which `open` makes a reader, to a file in `folder` that `take` gives
    /// back. Gives up when `abandoned`; what fails is not kept, and fails again in its turn. Returns the number of bytes.
    pub fn prepare(
        &self,
        position: usize,
        folder: &Utf8Path,
        abandoned: &AtomicBool,
        read: impl FnOnce(&mut dyn FnMut(&mut dyn Read) -> io::Result<()>),
    ) -> u64 {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).insert(position, None);
        let _guard = OnItsWay { ahead: self, position };
        let mut result = None;
        read(&mut |reader| {
            let mut file = tempfile::tempfile_in(folder)?;
            let mut block = vec![0; 1 << 20];
            let mut length = 0;
            loop {
                let read = reader.read(&mut block)?;
                if read == 0 {
                    break;
                }
                length += read as u64;
                if length > LIMIT || abandoned.load(Ordering::Relaxed) {
                    return Ok(());
                }
                file.write_all(&block[..read])?;
            }
            file.seek(SeekFrom::Start(0))?;
            result = Some((file, length));
            Ok(())
        });
        match result {
            Some((file, length)) => {
                self.data.lock().unwrap_or_else(PoisonError::into_inner).insert(position, Some(file));
                length
            }
            None => 0,
        }
    }

    /// The data of the package at `position`, waited for when it is on its way; nothing when nobody began with it.
    pub fn take(&self, position: usize) -> Option<File> {
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(None) = data.get(&position) {
            data = self.ready.wait(data).unwrap_or_else(PoisonError::into_inner);
        }
        data.remove(&position).flatten()
    }

    /// Whether no more than `LIMIT` bytes would lie ready.
    pub const fn has_room(ready: u64) -> bool {
        ready < LIMIT / 2
    }
}

/// Whoever waits is told how it ended, also when the worker panicked.
struct OnItsWay<'a> {
    ahead: &'a Ahead,
    position: usize,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let mut data = self.ahead.data.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(None) = data.get(&self.position) {
            data.remove(&self.position);
        }
        self.ahead.ready.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_data_is_given_once_and_failures_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (ahead, abandoned) = (Ahead::default(), AtomicBool::new(false));
        let length = ahead.prepare(3, folder, &abandoned, |sink| drop(sink(&mut &b"text"[..])));
        assert_eq!(length, 4);
        let mut text = String::new();
        ahead.take(3).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(ahead.take(3).is_none());
        assert_eq!(ahead.prepare(4, folder, &abandoned, |_| ()), 0);
        assert!(ahead.take(4).is_none());
        abandoned.store(true, Ordering::Relaxed);
        assert_eq!(ahead.prepare(5, folder, &abandoned, |sink| drop(sink(&mut &b"text"[..]))), 0);
        assert!(ahead.take(5).is_none());
        assert_eq!(folder.read_dir_utf8().unwrap().count(), 0);
    }

    #[test]
    fn nobody_waits_for_a_worker_that_panicked() {
        let ahead = Ahead::default();
        let worker = std::panic::AssertUnwindSafe(|| {
            ahead.prepare(1, Utf8Path::new("/"), &AtomicBool::new(false), |_| std::panic::resume_unwind(Box::new(())))
        });
        assert!(std::panic::catch_unwind(worker).is_err());
        assert!(!ahead.data.lock().unwrap().contains_key(&1) && ahead.take(1).is_none());
    }

    #[test]
    fn who_takes_what_is_on_its_way_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (ahead, abandoned) = (Ahead::default(), AtomicBool::new(false));
        let (begun, begins) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ahead.prepare(1, folder, &abandoned, |sink| {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    sink(&mut &b"late"[..]).unwrap();
                });
            });
            begins.recv().unwrap();
            assert!(ahead.take(1).is_some());
        });
    }
}
