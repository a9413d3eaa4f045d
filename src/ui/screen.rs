//! The reader of events that a user looks at.
//!
//! In: each event once, in order. Out: text to a writer in the form that [`Options`] name, and a line in the log.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressDrawTarget;

use super::history::History;
use super::lines::Lines;
use super::terminal::Terminal;
use super::{Form, Options, Verbosity, json, log, report};
use crate::event::Event;

/// Shows a build.
pub struct Screen {
    options: Options,
    out: Box<dyn Write + Send>,
    log: Option<Box<dyn Write + Send>>,
    history: History,
    start: Instant,
    lines: Lines,
    terminal: Option<Terminal>,
}

impl Screen {
    /// A screen that writes to `out`. In [`Form::Terminal`] the moving line is drawn on standard error.
    pub fn new(options: Options, out: Box<dyn Write + Send>) -> Self {
        let terminal = (options.form == Form::Terminal).then(|| Terminal::new(ProgressDrawTarget::stderr()));
        Self {
            options,
            out,
            log: None,
            history: History::default(),
            start: Instant::now(),
            lines: Lines::default(),
            terminal,
        }
    }

    /// Also writes every event to `log`.
    pub fn with_log(mut self, log: Box<dyn Write + Send>) -> Self {
        self.log = Some(log);
        self
    }

    /// What has happened so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Shows `event`.
    ///
    /// # Errors
    /// When the screen or the log cannot be written; the event is part of the history all the same.
    pub fn handle(&mut self, event: &Event) -> io::Result<()> {
        self.handle_at(event, self.start.elapsed())
    }

    /// Shows `event`, which happened `elapsed` after the start.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn handle_at(&mut self, event: &Event, elapsed: Duration) -> io::Result<()> {
        self.history.add(event);
        // A full disk under the log must not take the screen away.
        let logged = match &mut self.log {
            Some(writer) => log(writer, elapsed, event),
            None => Ok(()),
        };
        self.show(event, elapsed)?;
        if matches!(event, Event::Failed(_) | Event::Finished { .. }) {
            self.out.flush()?;
            if let Some(writer) = &mut self.log {
                writer.flush()?;
            }
        }
        logged
    }

    fn show(&mut self, event: &Event, elapsed: Duration) -> io::Result<()> {
        if self.options.form == Form::Json {
            return self.out.write_all(json::line(event).as_bytes());
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.handle(event, &self.history, &self.options);
        } else if let Some(line) = self.lines.line(event, &self.history, elapsed, &self.options) {
            self.out.write_all(line.as_bytes())?;
        }
        let report = match event {
            Event::Failed(failure) => report::failure(failure, &self.history, &self.options),
            Event::Finished { milliseconds } if self.options.verbosity >= Verbosity::Normal => {
                report::success(Duration::from_millis(*milliseconds), &self.history, &self.options)
            }
            _ => return Ok(()),
        };
        self.out.write_all(report.as_bytes())
    }
}

#[cfg(test)]
mod tests;
