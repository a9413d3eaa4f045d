//! Files that are being written, for verbs that write files themselves: they go when the verb fails or the user ends it.
//!
//! In: their paths. Out: nothing of them is left unless they got another name. Not here: builds, whose files are the builder's
//! parent's business.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use camino::Utf8PathBuf;
use signal_hook::iterator::{Handle, Signals};

use crate::sandbox::signals;

/// In this time whoever was about to create a file has done so.
const CREATION: Duration = Duration::from_millis(20);

/// The files.
pub struct Partial {
    files: Arc<Mutex<Vec<Utf8PathBuf>>>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Partial {
    /// From now on SIGINT, SIGTERM and SIGHUP, as far as they are not ignored, take `files` away, then end the process with 128 + signal.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(files: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let mut signals = Signals::new(signals::that_end())?;
        let handle = signals.handle();
        let files = Arc::new(Mutex::new(files));
        let known = Arc::clone(&files);
        let thread = thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Held to the end of the process.
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                remove(&known);
                thread::sleep(CREATION);
                remove(&known);
                std::process::exit(128 + signal);
            }
        });
        Ok(Self { files, handle, thread: Some(thread) })
    }

    /// Lets a signal wait until the result is dropped: the files are complete and get their names, or failed and that is said. Does
    /// not return when a signal came before.
    pub fn hold(&self) -> MutexGuard<'_, Vec<Utf8PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        remove(&self.hold());
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Best effort: what is not there needs no removal.
fn remove(files: &[Utf8PathBuf]) {
    for file in files {
        let _ = fs::remove_file(file);
    }
}
