//! One line after the other: for logs of other programs, pipes and dumb terminals.
//!
//! In: events and the time since the start. Out: lines that say which phase they belong to; progress only now and then.

use std::collections::HashMap;
use std::time::Duration;

use super::history::History;
use super::text::{Paint, amount, duration, paint, printable, stamp};
use super::{Options, Verbosity};
use crate::event::{Event, Level};

/// Time between two lines about the same progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// The state of the plain form.
#[derive(Default)]
pub struct Lines {
    /// When progress of each kind was said, or first heard of.
    said: HashMap<String, Duration>,
}

impl Lines {
    /// The line for `event`, if it is worth one. `history` knows the event already.
    pub fn line(&mut self, event: &Event, history: &History, elapsed: Duration, options: &Options) -> Option<String> {
        let text = self.text(event, history, elapsed, options)?;
        Some(format!("{} {text}\n", stamp(elapsed)))
    }

    /// The same without its time.
    pub(super) fn text(
        &mut self,
        event: &Event,
        history: &History,
        elapsed: Duration,
        options: &Options,
    ) -> Option<String> {
        let phase = history.phase_name();
        if let Event::Message { level, text } = event {
            return match level {
                Level::Warning => Some(format!("{} {text}", paint("warning:", Paint::Warning, options.colour))),
                Level::Info if options.verbosity >= Verbosity::Normal => Some(format!("{phase}: {text}")),
                Level::Debug if options.verbosity >= Verbosity::Verbose => Some(format!("{phase}: {text}")),
                Level::Info | Level::Debug => None,
            };
        }
        if options.verbosity < Verbosity::Normal {
            return None;
        }
        match event {
            Event::PhaseStarted { phase, steps } => {
                self.said.clear();
                let name = paint(phase, Paint::Bold, options.colour);
                let s = if *steps == 1 { "" } else { "s" };
                Some(if *steps == 0 { format!("{name}: begins") } else { format!("{name}: begins, {steps} step{s}") })
            }
            Event::PhaseFinished { phase, milliseconds } => {
                Some(format!("{phase}: done in {}", duration(Duration::from_millis(*milliseconds))))
            }
            Event::StepStarted { title, .. } => Some(format!("{phase}: {title}")),
            Event::StepFinished { id, reused: true, .. } => {
                Some(format!("{phase}: {}: from the store", history.title(id)))
            }
            Event::Progress { what, done, total, unit } => {
                self.due(what, elapsed).then(|| format!("{phase}: {what}: {}", amount(*done, *total, *unit)))
            }
            Event::Output { line } if options.verbosity >= Verbosity::Verbose => {
                Some(format!("{phase} | {}", printable(line)))
            }
            _ => None,
        }
    }

    /// Whether progress of `what` is to be said now: not at once, for short work needs no progress, and then now and then.
    fn due(&mut self, what: &str, elapsed: Duration) -> bool {
        match self.said.get_mut(what) {
            Some(last) if elapsed.saturating_sub(*last) < PROGRESS => false,
            Some(last) => {
                *last = elapsed;
                true
            }
            None => {
                self.said.insert(what.to_owned(), elapsed);
                false
            }
        }
    }
}
