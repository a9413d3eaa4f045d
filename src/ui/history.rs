//! What has happened so far, as far as reports need it.
//!
//! In: events. Out: facts to look up. Not here: text.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Artifact, Event};

/// Output lines that a failure shows.
const LAST_LINES: usize = 20;

/// The build so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The running phase.
    pub phase: Option<RunningPhase>,
    /// The running step: id and title.
    pub step: Option<(String, String)>,
    /// Ended phases with their time in milliseconds, in order.
    pub phases: Vec<(String, u64)>,
    /// Titles of the steps whose layers came from the store, in order.
    pub reused: Vec<String>,
    /// Finished files.
    pub artifacts: Vec<Artifact>,
    /// The last lines that commands and scripts printed, the oldest first.
    pub last_lines: VecDeque<String>,
    titles: BTreeMap<String, String>,
}

/// A phase that has not ended.
#[derive(Clone, Debug, Default)]
pub struct RunningPhase {
    /// Its name.
    pub name: String,
    /// How many steps it has.
    pub steps: usize,
    /// How many of them have begun.
    pub begun: usize,
}

impl History {
    /// Takes `event` in.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::PhaseStarted { phase, steps } => {
                self.phase = Some(RunningPhase { name: phase.clone(), steps: *steps, begun: 0 });
            }
            Event::PhaseFinished { phase, milliseconds } => {
                self.phases.push((phase.clone(), *milliseconds));
                self.phase = None;
                self.step = None;
            }
            Event::StepStarted { id, title } => {
                if let Some(phase) = &mut self.phase {
                    phase.begun += 1;
                }
                self.titles.insert(id.clone(), title.clone());
                self.step = Some((id.clone(), title.clone()));
                // What earlier steps printed does not explain why this one fails.
                self.last_lines.clear();
            }
            Event::StepFinished { id, reused, .. } => {
                if *reused {
                    self.reused.push(self.title(id).to_owned());
                }
                self.step = None;
            }
            Event::Output { line } => {
                if self.last_lines.len() == LAST_LINES {
                    self.last_lines.pop_front();
                }
                self.last_lines.push_back(line.clone());
            }
            Event::Artifact(artifact) => self.artifacts.push(artifact.clone()),
            Event::Progress { .. } | Event::Message { .. } | Event::Failed(_) | Event::Finished { .. } => {}
        }
    }

    /// The title of the step `id`; the id itself when it never began.
    pub fn title<'a>(&'a self, id: &'a str) -> &'a str {
        self.titles.get(id).map_or(id, String::as_str)
    }

    /// Name of the running phase, or `kiln` between phases.
    pub fn phase_name(&self) -> &str {
        self.phase.as_ref().map_or("kiln", |phase| phase.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_the_running_step_are_kept() {
        let mut history = History::default();
        history.add(&Event::Output { line: "of the first step".into() });
        history.add(&Event::StepStarted { id: "b".into(), title: "second".into() });
        for number in 0..25 {
            history.add(&Event::Output { line: number.to_string() });
        }
        assert_eq!(history.last_lines.len(), LAST_LINES);
        assert_eq!(history.last_lines[0], "5");
    }

    #[test]
    fn a_step_from_the_store_is_remembered_by_its_title() {
        let mut history = History::default();
        history.add(&Event::StepStarted { id: "a".into(), title: "debian: bootstrap".into() });
        history.add(&Event::StepFinished { id: "a".into(), milliseconds: 1, reused: true });
        assert_eq!(history.reused, ["debian: bootstrap"]);
    }
}
