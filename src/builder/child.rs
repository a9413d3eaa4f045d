//! The child's side of the process border.
//!
//! In: a plan on standard input. Out: events on standard output, one JSON object a line, and an exit status.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::Instant;

use camino::Utf8PathBuf;

use super::{outside, spine};
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
    /// What was never fetched is not fetched now.
    pub offline: bool,
    /// Files of secrets by their names.
    pub secrets: BTreeMap<String, Utf8PathBuf>,
}

/// Reads a plan, runs it, says what happens. Returns the exit status.
pub fn main(site: &Site) -> u8 {
    let out = Mutex::new(std::io::stdout());
    let hidden = hidden(site);
    let events = Events::new(move |event| {
        // A parent that no longer reads is gone, and its death ends us too.
        if let (Ok(line), Ok(mut out)) = (serde_json::to_string(&event), out.lock()) {
            let mut line = hidden.iter().fold(line, |line, secret| line.replace(secret, "***"));
            line.push('\n');
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
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

/// What no event may hold: the secrets and their lines, as JSON has them, the longest first. Whoever prints one, a command or an
/// error, it does not leave this process. Very short ones would hide half of every word.
fn hidden(site: &Site) -> Vec<String> {
    let texts = site.secrets.values().filter_map(|file| outside::read_secret(file).ok());
    let mut hidden: Vec<String> = texts
        .flat_map(|text| std::iter::once(text.clone()).chain(text.lines().map(str::to_owned)).collect::<Vec<_>>())
        .map(|text| text.trim().to_owned())
        .filter(|text| text.len() >= 4)
        .map(|text| serde_json::Value::from(text).to_string().trim_matches('"').to_owned())
        .collect();
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden.dedup();
    hidden
}

/// Milliseconds since `begun`.
pub(super) fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
