//! What a verb says when it fails.
//!
//! In: a code, a message. Out: a value that a script can catch and branch on (`err.code`, `err.message`), and that survives to
//! the end when it does not. Carried in `ErrorRuntime`: `ErrorSystem` would lose its place on the way. Not here: the place.

use rhai::{Dynamic, EvalAltResult, Position};

use crate::target::TargetError;

/// An error of a verb.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// Stable dotted code: `io.not-found`, `usage.option`, `permission.denied`.
    pub code: String,
    /// What was attempted and what went wrong.
    pub message: String,
    /// What the author can do.
    pub help: Option<String>,
}

/// What a native returns to Rhai.
pub type RhaiResult<T> = Result<T, Box<EvalAltResult>>;

impl HostError {
    /// An error of this code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), help: None }
    }

    /// The verb was called with something it cannot work with. `part` says what: `option`, `path`.
    pub fn usage(part: &str, message: impl Into<String>) -> Self {
        Self::new(format!("usage.{part}"), message)
    }

    /// Adds what the author can do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<TargetError> for HostError {
    fn from(error: TargetError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<HostError> for Box<EvalAltResult> {
    fn from(error: HostError) -> Self {
        // Rhai fills in the position of the call.
        Self::new(EvalAltResult::ErrorRuntime(Dynamic::from(error), Position::NONE))
    }
}
