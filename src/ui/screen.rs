//! The reader of events that a user looks at.
//!
//! In: each event once, in order. Out: text to a writer in the form that [`Options`] name, and a line in the log.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressDrawTarget;

use super::history::History;
use super::lines::Lines;
use super::terminal::Terminal;
use super::{Form, Options, Verbosity, json, log, report, transcript};
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
        if self.options.form == Form::Transcript {
            return self.transcribe(event, elapsed);
        }
        // A full disk under the log must not take the screen away.
        let logged = match &mut self.log {
            Some(writer) => log(writer, elapsed, event),
            None => Ok(()),
        };
        self.show(event, elapsed)?;
        if ends(event) {
            self.out.flush()?;
            if let Some(writer) = &mut self.log {
                writer.flush()?;
            }
        }
        logged
    }

    /// Writes the lines of a transcript to screen and log.
    fn transcribe(&mut self, event: &Event, elapsed: Duration) -> io::Result<()> {
        let lines = transcript::lines(event, &mut self.lines, &self.history, elapsed, &self.options);
        let (shown, ended) = (transcript::is_shown(event, self.options.verbosity), ends(event));
        let stamp = transcript::stamp();
        let write = |out: &mut dyn Write, stamped: bool| -> io::Result<()> {
            for line in &lines {
                if stamped { writeln!(out, "{stamp} | {line}")? } else { writeln!(out, "{line}")? }
            }
            if ended { out.flush() } else { Ok(()) }
        };
        // A full disk under one of the two must not take the other away.
        let logged = self.log.as_mut().map_or(Ok(()), |log| write(log, true));
        if shown {
            write(&mut self.out, self.options.stamped)?;
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

/// Whether `event` is the last one.
fn ends(event: &Event) -> bool {
    matches!(event, Event::Failed(_) | Event::Finished { .. })
}

#[cfg(test)]
mod tests;
