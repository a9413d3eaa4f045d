//! Why a hook stays a shell hook.

use serde::Serialize;

/// A construct that keeps a hook in shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its line in the hook, from 1; 0 for the whole hook.
    pub line: usize,
    /// What it is.
    pub reason: String,
}

impl Kept {
    /// The construct `reason`; the statement around it knows its line.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { line: 0, reason: reason.into() }
    }

    /// The same, at a line unless it has one.
    pub fn at(mut self, line: usize) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}
