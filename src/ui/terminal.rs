//! Bars that move: one line for the running phase, one summary line for each that ended.
//!
//! In: events. Out: drawing through indicatif. Not here: the report at the end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::history::History;
use super::text::{Paint, amount, duration, paint, printable};
use super::{Options, Verbosity};
use crate::event::{Event, Level};

/// The line while nothing is counted.
const SPINNER: &str = "{spinner} {prefix} {elapsed} {wide_msg}";
/// The line while an amount grows towards a known total.
const BAR: &str = "{spinner} {prefix} {elapsed} [{bar:24}] {wide_msg}";

/// The moving line.
pub struct Terminal {
    bar: ProgressBar,
    with_bar: bool,
}

impl Terminal {
    /// Draws on `target`.
    pub fn new(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(SPINNER));
        Self { bar, with_bar: false }
    }

    /// Shows `event`; `history` knows it already.
    pub fn handle(&mut self, event: &Event, history: &History, options: &Options) {
        if let Some(line) = above(event, history, options) {
            self.bar.println(line);
        }
        if options.verbosity < Verbosity::Normal {
            return;
        }
        match event {
            Event::PhaseStarted { phase, .. } => {
                self.bar.reset_elapsed();
                self.bar.set_prefix(phase.clone());
                self.say(String::new());
                self.bar.enable_steady_tick(Duration::from_millis(120));
            }
            Event::StepStarted { title, .. } => {
                let place = match &history.phase {
                    Some(phase) if phase.steps > 1 => format!("{}/{} ", phase.begun, phase.steps),
                    _ => String::new(),
                };
                self.say(format!("{place}{title}"));
            }
            Event::Progress { what, done, total, unit } => {
                if *total > 0 && done < total {
                    self.with_bar(true);
                    self.bar.set_length(*total);
                    self.bar.set_position(*done);
                } else {
                    self.with_bar(false);
                }
                let step = history.step.as_ref().map_or(String::new(), |(_, title)| format!("{title}: "));
                self.bar.set_message(format!("{step}{what} {}", amount(*done, *total, *unit)));
            }
            Event::PhaseFinished { .. } | Event::Failed(_) | Event::Finished { .. } => {
                self.bar.disable_steady_tick();
                self.bar.finish_and_clear();
                self.bar.reset();
            }
            _ => {}
        }
    }

    fn say(&mut self, message: String) {
        self.with_bar(false);
        self.bar.set_message(message);
    }

    fn with_bar(&mut self, wanted: bool) {
        if self.with_bar != wanted {
            self.with_bar = wanted;
            self.bar.set_style(style(if wanted { BAR } else { SPINNER }));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants that a test parses.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("=> ")
}

/// The line that stays above the moving one, if the event leaves one.
fn above(event: &Event, history: &History, options: &Options) -> Option<String> {
    let normal = options.verbosity >= Verbosity::Normal;
    let verbose = options.verbosity >= Verbosity::Verbose;
    match event {
        Event::PhaseFinished { phase, milliseconds } if normal => {
            let time = duration(Duration::from_millis(*milliseconds));
            Some(format!("{} {phase:<14} {time:>12}", paint("ok", Paint::Good, options.colour)))
        }
        Event::Message { level: Level::Warning, text } => {
            Some(format!("{} {text}", paint("warning:", Paint::Warning, options.colour)))
        }
        Event::Message { level: Level::Info, text } if normal => Some(format!("   {text}")),
        Event::Message { text, .. } if verbose => Some(format!("   {text}")),
        Event::Output { line } if verbose => Some(format!("   | {}", printable(line))),
        Event::StepFinished { id, reused: true, .. } if verbose => {
            Some(format!("   {}: from the store", history.title(id)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Unit;

    #[test]
    fn the_templates_are_valid() {
        for template in [SPINNER, BAR] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_moving_line_names_the_step_and_a_bar_appears_only_where_the_total_is_known() {
        let mut terminal = Terminal::new(ProgressDrawTarget::hidden());
        let mut history = History::default();
        let options = Options::default();
        let mut handle = |event: Event| {
            history.add(&event);
            terminal.handle(&event, &history, &options);
            (terminal.bar.prefix(), terminal.bar.message(), terminal.with_bar)
        };
        handle(Event::PhaseStarted { phase: "install".into(), steps: 3 });
        let (prefix, message, _) = handle(Event::StepStarted { id: "a".into(), title: "vim: install".into() });
        assert_eq!((prefix.as_str(), message.as_str()), ("install", "1/3 vim: install"));
        let progress = |done, total| Event::Progress { what: "unpack".into(), done, total, unit: Unit::Items };
        assert!(!handle(progress(1, 0)).2);
        let (_, message, with_bar) = handle(progress(1, 4));
        assert_eq!((message.as_str(), with_bar), ("vim: install: unpack 1 of 4 (25 %)", true));
        assert!(!handle(progress(4, 4)).2);
    }

    #[test]
    fn an_ended_phase_folds_to_one_line() {
        let event = Event::PhaseFinished { phase: "install".into(), milliseconds: 12_300 };
        let line = above(&event, &History::default(), &Options::default()).unwrap();
        assert_eq!(line, "ok install              12.3 s");
    }
}
