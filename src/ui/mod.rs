//! What the user sees of a build; the only room that prints.
//!
//! In: [`Event`](crate::event::Event)s, each handed to [`Screen::handle`], and [`Options`] that `cli/` filled from flags and
//! environment. Out: progress on a terminal, plain lines without one, or the events as JSON; a log file; a report at the end.
//! Not here: reading the environment, deciding anything about the build.

pub mod history;
mod json;
mod lines;
pub mod log;
mod report;
pub mod screen;
mod terminal;
pub mod text;
mod transcript;

use camino::Utf8PathBuf;

pub use log::log;
pub use screen::Screen;

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// Phases and steps too.
    #[default]
    Normal,
    /// What commands print, too.
    Verbose,
}

/// In which form it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Bars that move: standard error is a terminal.
    Terminal,
    /// One line after the other.
    #[default]
    Lines,
    /// One JSON object a line, the events themselves.
    Json,
    /// Everything that is said and printed, a line each, in the manner of diskimage-builder. A log has the same lines.
    Transcript,
}

/// How to speak to this user.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The form.
    pub form: Form,
    /// How much.
    pub verbosity: Verbosity,
    /// Colours are wanted. They never carry meaning alone.
    pub colour: bool,
    /// Lines of a transcript begin with date and time; those of its log always do.
    pub stamped: bool,
    /// The log file, named when a build fails.
    pub log: Option<Utf8PathBuf>,
    /// The command line that repeats the build, named when it fails.
    pub repeat: Option<String>,
}
