//! The parent's side of the process border.
//!
//! In: a plan and a reader of events. Out: finished artifacts in their places, or a failure; never anything in between. Starts
//! the builder, hands it the plan, passes its events on, ends it when the user interrupts. Not here: the artifacts' names (`placing`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};

use super::interrupts::Interrupts;
use super::placing::{place, with_digests};
use crate::event::{Artifact, Event, Events, Failure};
use crate::format;
use crate::plan::Plan;
use crate::sandbox::isolation::{self, Pipes};
use crate::sandbox::{init, interactive, work_folder};
use crate::store::layers::Layers;

/// How a build is to be run; what is to be built is the plan's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is kept between builds.
    pub store: Utf8PathBuf,
    /// Layers of earlier builds may be used, and this build's are kept.
    pub reuse: bool,
    /// Outputs that exist are renamed, with date and time in their names, instead of being replaced.
    pub keep_old_outputs: bool,
    /// Files of secrets by their names: the builder reads them, the plan never holds them.
    pub secrets: BTreeMap<String, Utf8PathBuf>,
    /// What was never fetched is not fetched now.
    pub offline: bool,
}

/// How a build ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All artifacts are in place.
    Built,
    /// It failed; `Event::Failed` was said.
    Failed {
        /// The status the program should exit with.
        status: u8,
    },
    /// The user ended it.
    Interrupted {
        /// The signal.
        signal: i32,
    },
}

/// Builds `plan`, telling `events` all that happens.
///
/// Call it on the main thread: the builder dies with the thread that started it.
pub fn build(plan: &Plan, settings: &Settings, events: &Events) -> Outcome {
    match attempt(plan, settings, events) {
        Ok(outcome) => outcome,
        Err(message) => {
            events.send(Event::Failed(Failure { message, exit_status: 1, ..Failure::default() }));
            Outcome::Failed { status: 1 }
        }
    }
}

fn attempt(plan: &Plan, settings: &Settings, events: &Events) -> Result<Outcome, String> {
    let parent = settings.store.join("work");
    let swept = work_folder::sweep(&parent);
    if swept.removed > 0 {
        events.info(format!("removed what {} interrupted builds left behind", swept.removed));
    }
    for left in swept.left {
        events.warn(left);
    }
    let work = work_folder::WorkFolder::create(&parent)
        .map_err(|error| format!("cannot make a work folder in {parent}: {error}; name another place with --store"))?;
    for path in plan.outputs.iter().flat_map(|output| with_digests(&output.path)) {
        work.note_partial(&format::temporary(&path, work.name()))
            .map_err(|error| format!("cannot write to {parent}: {error}"))?;
    }
    if settings.reuse {
        settle(&settings.store).map_err(|error| format!("cannot use the store at {}: {error}", settings.store))?;
    }
    let interrupts = Interrupts::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let outcome = supervise(plan, settings, &work, &interrupts, events);
    // Whatever happened, the builder and all it started are gone: nothing is mounted and nobody writes.
    let placed = match outcome {
        Ok((Ended::Well(artifacts), milliseconds)) => {
            // What is not written to disk yet shall not be: syncing an artifact would take it along.
            work.empty();
            let kept = settings.keep_old_outputs.then_some(events);
            place(&artifacts, work.name(), || interrupts.signal(), kept).map(|interrupted| match interrupted {
                Some(signal) => Outcome::Interrupted { signal },
                None => {
                    events.send(Event::Finished { milliseconds });
                    Outcome::Built
                }
            })
        }
        Ok((Ended::Badly { status }, _)) => Ok(Outcome::Failed { status }),
        Ok((Ended::BySignal(signal), _)) => Ok(Outcome::Interrupted { signal }),
        Err(message) => Err(message),
    };
    if let Some(left) = work.remove() {
        events.warn(left);
    }
    // A build that was killed just before this one began was perhaps still dying then, with its lock in its hands.
    work_folder::sweep(&parent);
    placed
}

/// Makes sure that layers of earlier builds outlive a power cut.
fn settle(store: &Utf8Path) -> std::io::Result<()> {
    Layers::open(store)?.settle(|| init::sync_file_system(store))
}

enum Ended {
    Well(Vec<Artifact>),
    Badly { status: u8 },
    BySignal(i32),
}

fn supervise(
    plan: &Plan,
    settings: &Settings,
    work: &work_folder::WorkFolder,
    interrupts: &Interrupts,
    events: &Events,
) -> Result<(Ended, u64), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let wants_terminal = plan.shell.as_ref().is_some_and(|shell| !shell.breakpoints.points.is_empty());
    let plan = serde_json::to_vec(plan).map_err(|error| format!("cannot write down the plan: {error}"))?;
    let lock = work.share_lock().map_err(failed("cannot share the work folder's lock"))?;
    let terminal =
        wants_terminal.then(interactive::own).transpose().map_err(failed("cannot hand the terminal down"))?;
    let (word, descriptors) = terminal.unzip();
    let mut arguments = vec!["builder", "--work", work.path().as_str(), "--store", settings.store.as_str()];
    if !settings.reuse {
        arguments.push("--no-reuse");
    }
    if settings.offline {
        arguments.push("--offline");
    }
    let secrets: Vec<String> = settings.secrets.iter().map(|(name, file)| format!("{name}={file}")).collect();
    arguments.extend(secrets.iter().flat_map(|secret| ["--secret", secret.as_str()]));
    arguments.extend(word.iter().flat_map(|word| ["--terminal", word.as_str()]));
    let kept: Vec<_> = std::iter::once(lock).chain(descriptors.into_iter().flatten()).collect();
    let (mut builder, pipes) =
        isolation::start("/proc/self/exe", &arguments, &kept).map_err(|error| error.to_string())?;
    let Pipes { plan: mut plan_pipe, events: event_pipe, complaints } = pipes;
    interrupts.aim(builder.killer().map_err(failed("cannot get hold of the builder"))?);
    let mut told = Told::default();
    let complaint = thread::scope(|scope| {
        let complaints = scope.spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(complaints).read_to_string(&mut text);
            text
        });
        // A builder that cannot read the plan says why in its events.
        let _ = plan_pipe.write_all(&plan);
        drop(plan_pipe);
        for line in BufReader::new(event_pipe).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(event) => told.hear(event, events),
                Err(_) => events.output(line),
            }
        }
        complaints.join().unwrap_or_default()
    });
    let status = builder.wait().map_err(failed("cannot wait for the builder"))?;
    if let Some(signal) = interrupts.signal() {
        return Ok((Ended::BySignal(signal), 0));
    }
    if let (true, Some(milliseconds)) = (status.success(), told.finished) {
        return Ok((Ended::Well(told.artifacts), milliseconds));
    }
    if told.failed {
        let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).max(1);
        return Ok((Ended::Badly { status }, 0));
    }
    let complaint = complaint.trim();
    Err(format!("the builder ended without a word ({status}); this is a defect of kiln, please report it: {complaint}"))
}

/// What was heard from the builder.
#[derive(Default)]
struct Told {
    artifacts: Vec<Artifact>,
    finished: Option<u64>,
    failed: bool,
}

impl Told {
    fn hear(&mut self, event: Event, events: &Events) {
        match &event {
            Event::Artifact(artifact) => self.artifacts.push(artifact.clone()),
            // Said again when the artifacts are in place.
            Event::Finished { milliseconds } => {
                self.finished = Some(*milliseconds);
                return;
            }
            Event::Failed(_) => self.failed = true,
            _ => {}
        }
        events.send(event);
    }
}
