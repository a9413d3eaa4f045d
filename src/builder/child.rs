//! The child's side of the process border.
//!
//! In: a plan on standard input. Out: events on standard output, one JSON object a line, and an exit status.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::Instant;

use camino::Utf8PathBuf;

use super::spine;
use crate::event::{Event, Events, Failure};
use crate::plan::Plan;
use crate::sandbox::init;

/// Where a builder works; the same for every plan.
#[derive(Clone, Debug)]
pub struct Site {
    /// The build's own folder, on the store's file system.
    pub work: Utf8PathBuf,
    /// What is kept between builds.
    pub store: Utf8PathBuf,
    /// Layers of earlier builds may be used, and this build's are kept.
    pub reuse: bool,
    /// The user's terminal, as [`crate::sandbox::interactive::own`] names it.
    pub terminal: Option<String>,
}

/// Reads a plan, runs it, says what happens. Returns the exit status.
pub fn main(site: &Site) -> u8 {
    let out = Mutex::new(std::io::stdout());
    let events = Events::new(move |event| {
        // A parent that no longer reads is gone, and its death ends us too.
        if let (Ok(mut line), Ok(mut out)) = (serde_json::to_vec(&event), out.lock()) {
            line.push(b'\n');
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    });
    let begun = Instant::now();
    match run(site, &events) {
        Ok(()) => {
            events.send(Event::Finished { milliseconds: elapsed(begun) });
            0
        }
        Err(failure) => {
            let status = u8::try_from(failure.exit_status).unwrap_or(1).max(1);
            events.send(Event::Failed(*failure));
            status
        }
    }
}

fn run(site: &Site, events: &Events) -> Result<(), Box<Failure>> {
    let failed = |message: String| Box::new(Failure { message, exit_status: 1, ..Failure::default() });
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| failed(format!("cannot read the plan: {error}")))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| failed(format!("the plan is not valid: {error}")))?;
    if plan.version != crate::plan::VERSION {
        let (theirs, ours) = (plan.version, crate::plan::VERSION);
        return Err(failed(format!("the plan has format version {theirs}, this kiln knows version {ours}")));
    }
    let warning = init::become_builder().map_err(|error| failed(format!("cannot isolate the build: {error}")))?;
    if let Some(warning) = warning {
        events.warn(warning);
    }
    spine::bake(&plan, site, events)
}

/// Milliseconds since `begun`.
pub(super) fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
