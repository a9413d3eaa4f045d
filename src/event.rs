//! What a builder says.
//!
//! In: nothing but the builder's own words. Out: one [`Event`] a line of JSON on the builder's event pipe; `ui/` reads them.
//! Not here: how an event looks on a screen.

use std::sync::Arc;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;

/// One thing that happened, in the order in which it happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase begins. `steps` is how many steps it holds.
    PhaseStarted {
        /// Name of the phase, as in `Phase::as_str`, or of a stage after the last phase (`disk`, `formats`).
        phase: String,
        /// Number of steps in it.
        steps: usize,
    },
    /// A phase ended well.
    PhaseFinished {
        /// The name that its `PhaseStarted` bore.
        phase: String,
        /// Wall time in milliseconds.
        milliseconds: u64,
    },
    /// A step begins.
    StepStarted {
        /// `Step::id`.
        id: String,
        /// What a person reads: `debian-minimal: bootstrap`.
        title: String,
    },
    /// A step ended well.
    StepFinished {
        /// `Step::id`.
        id: String,
        /// Wall time in milliseconds.
        milliseconds: u64,
        /// The step's layer came from the store; nothing ran.
        reused: bool,
    },
    /// How far the running step is. `done == total` ends a bar.
    Progress {
        /// What is counted: `download`, `unpack`, `qcow2`.
        what: String,
        /// Amount done.
        done: u64,
        /// Amount in all; 0 when unknown.
        total: u64,
        /// What the amounts are.
        unit: Unit,
    },
    /// One line that a command or a script printed.
    Output {
        /// The line, without its end.
        line: String,
    },
    /// Something a user may want to know.
    Message {
        /// How much it matters.
        level: Level,
        /// The text: lower case, no full stop.
        text: String,
    },
    /// A finished file, still under its temporary name.
    Artifact(Artifact),
    /// The build failed; the last event.
    Failed(Failure),
    /// The build succeeded; the last event.
    Finished {
        /// Wall time in milliseconds.
        milliseconds: u64,
    },
}

/// What a `Progress` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things: packages, files.
    Items,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks for the cause of something.
    Debug,
    /// Worth a line.
    Info,
    /// The user should change something.
    Warning,
}

/// An output file that is complete under its temporary name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// Format name: `qcow2`, `raw`, `tar`.
    pub format: String,
    /// Where its bytes are now, beside `path`.
    pub temporary: Utf8PathBuf,
    /// What it is to be called.
    pub path: Utf8PathBuf,
    /// Apparent size in bytes.
    pub size: u64,
    /// Digests asked for: (algorithm name, lower-case hex).
    pub digests: Vec<(String, String)>,
}

/// Why a build failed, with all that a user needs to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Failure {
    /// What was attempted and what went wrong.
    pub message: String,
    /// The element whose step failed.
    pub element: Option<String>,
    /// The step's id.
    pub step: Option<String>,
    /// The phase.
    pub phase: Option<String>,
    /// A place in the user's file, when there is one.
    pub diagnostic: Option<Diagnostic>,
    /// What the user can do.
    pub help: Option<String>,
    /// Exit status the program should end with (1 unless a hook chose another).
    pub exit_status: i32,
}

/// Where events go. Cheap to clone; may be called from any thread.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends every event to `sink`.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Says `event`.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }

    /// Says one line of a command's output.
    pub fn output(&self, line: impl Into<String>) {
        self.send(Event::Output { line: line.into() });
    }

    /// Says how far something is.
    pub fn progress(&self, what: &str, done: u64, total: u64, unit: Unit) {
        self.send(Event::Progress { what: what.into(), done, total, unit });
    }

    /// Says something worth a line.
    pub fn info(&self, text: impl Into<String>) {
        self.send(Event::Message { level: Level::Info, text: text.into() });
    }

    /// Says something the user should change.
    pub fn warn(&self, text: impl Into<String>) {
        self.send(Event::Message { level: Level::Warning, text: text.into() });
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
