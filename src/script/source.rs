//! The texts of the files that a script is made of, by the names that Rhai and diagnostics use for them.
//!
//! In: texts as they are loaded. Out: labels at positions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use camino::Utf8Path;
use rhai::Position;

use crate::diagnostic::Label;
use crate::plan::PlannedElement;

/// Loaded texts. Cheap to clone; clones share their texts.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<BTreeMap<String, String>>>);

impl Sources {
    /// Remembers the text of the file called `name`.
    pub fn add(&self, name: &str, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), text.to_owned());
    }

    /// The place of a position in the file called `name`; `None` when either is unknown.
    pub fn label(&self, name: &str, position: Position, text: impl Into<String>) -> Option<Label> {
        let (line, column) = (position.line()?, position.position().unwrap_or(1));
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Label::at(name, sources.get(name)?, line, column, text))
    }
}

/// What a file of an element is called: `vim/install.d/60-extra.rhai`.
pub fn name(element: &PlannedElement, file: &Utf8Path) -> String {
    match file.strip_prefix(&element.directory) {
        Ok(below) => format!("{}/{below}", element.name),
        Err(_) => file.to_string(),
    }
}
