//! The user's wish to end a build: SIGINT, SIGTERM, SIGHUP, as far as they are not ignored.
//!
//! In: signals. Out: a killed builder, and the signal's number for whoever asks. Not here: what is taken away afterwards.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use signal_hook::iterator::{Handle, Signals};

use crate::sandbox::isolation::Killer;
use crate::sandbox::signals;

/// Listens as long as it lives.
pub struct Interrupts {
    signal: Arc<AtomicI32>,
    aim: Arc<Mutex<Option<Killer>>>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Begins to listen: from now on a signal does not end this process.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn listen() -> io::Result<Self> {
        let mut signals = Signals::new(signals::that_end())?;
        let (signal, aim) = (Arc::new(AtomicI32::new(0)), Arc::new(Mutex::new(None::<Killer>)));
        let handle = signals.handle();
        let (noted, aimed) = (Arc::clone(&signal), Arc::clone(&aim));
        let thread = thread::spawn(move || {
            for signal in &mut signals {
                noted.store(signal, Ordering::SeqCst);
                if let Some(killer) = &*aimed.lock().unwrap_or_else(PoisonError::into_inner) {
                    killer.kill();
                }
            }
        });
        Ok(Self { signal, aim, handle, thread: Some(thread) })
    }

    /// From now on a signal kills the builder too; one that came before kills it now.
    pub fn aim(&self, killer: Killer) {
        let mut aim = self.aim.lock().unwrap_or_else(PoisonError::into_inner);
        if self.signal().is_some() {
            killer.kill();
        }
        *aim = Some(killer);
    }

    /// The last signal that came.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
