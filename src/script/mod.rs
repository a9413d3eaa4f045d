//! Rhai, and only here.
//!
//! In: a file of an element, a function's name, the target. Out: the effects that the function had, or a [`Diagnostic`] that
//! points into the file. A script reaches nothing but the verbs of [`api`]; every verb asks the element's permissions first.
//! Not here: which function runs when (`plan/`), what a verb does to the tree (`target/`).
//!
//! [`Diagnostic`]: crate::diagnostic::Diagnostic

pub mod api;
#[cfg(test)]
mod conformance;
pub mod effect;
pub mod engine;
pub mod error;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fixture;
pub mod host_error;
#[cfg(test)]
mod hostile;
pub mod image;
pub mod imports;
pub mod jail;
pub mod nearest;
pub mod permission;
#[cfg(test)]
mod portable;
pub mod run;
pub mod source;
pub mod syntax;
pub mod testing;

pub use effect::Effect;
pub use run::{Call, run};
