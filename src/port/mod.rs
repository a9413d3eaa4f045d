//! Makes a Rhai draft of a shell element.
//!
//! In: an element's folder. Out: a folder with the same element, whose metadata is a manifest and whose hooks are Rhai where every
//! statement is understood, and a [`Report`] that accounts for every file. A hook with anything else stays as it is. Runs nothing
//! of the element. Not here: the words of the command (`cli/port`), reading elements (`element/`).
//!
//! - [`shell`]: a script's statements. [`translate`], [`condition`], [`pattern`], [`idioms`]: what they mean.
//! - [`hook`](mod@hook), [`variable`], [`value`], [`substitution`]: words and variables. [`repeat`]: loops. [`step`], [`print`](mod@print): the draft.
//! - [`draft`]: the folder. [`environment`], [`manifest`]: metadata. [`report`], [`kept`]: what became of it.

mod condition;
mod draft;
mod environment;
mod error;
mod hook;
mod idioms;
mod kept;
mod manifest;
mod pattern;
mod print;
mod repeat;
pub mod report;
mod shell;
mod step;
mod substitution;
mod translate;
mod value;
mod variable;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use draft::port;
pub use error::PortError;
pub use kept::Kept;
pub use report::Report;

use crate::plan::Phase;

/// A hook in Rhai.
#[derive(Debug)]
struct Translated {
    /// The file's text.
    text: String,
    /// Permissions that it needs.
    needs: BTreeSet<String>,
    /// Variables of the environment that it reads.
    reads: BTreeSet<String>,
}

/// Translates the hook `path` (`install.d/10-x`) of an element with `files`, whose `environment.d` sets what is `declared`.
fn hook(
    path: &str,
    phase: Phase,
    text: &str,
    files: &BTreeSet<String>,
    declared: &BTreeSet<String>,
) -> Result<Translated, Vec<Kept>> {
    let script =
        shell::reader::read(text).map_err(|error| vec![Kept::new(format!("no script that can be read: {error}"))])?;
    let mut hook = hook::Hook::new(files, declared, phase);
    let steps = translate::script(&mut hook, &script)?;
    let text = print::file(path, phase, &hook.imports, &script.comments, &steps);
    // What the loader does not read is not handed out.
    if let Err(problem) = crate::script::syntax::read(path, &text) {
        return Err(vec![Kept::new(format!("its draft is no Rhai: {problem}"))]);
    }
    Ok(Translated { text, needs: hook.needs, reads: hook.reads })
}
