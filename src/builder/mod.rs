//! Runs a plan, in a process of its own.
//!
//! In: a [`crate::plan::Plan`]. Out: [`crate::event::Event`]s, and finished files under temporary names, which the parent's
//! side syncs and renames. `parent` and `child` are the two sides of the process border; `spine` is the build itself.
//! Not here: what to do (`plan/`), how each thing is done (`distro/`, `disk/`, `boot/`, `format/`, `script/`).

pub mod child;
mod digest;
pub mod error;
pub mod facts;
mod ground;
mod hooks;
mod image;
mod inside;
mod interrupts;
mod memory;
mod old_output;
mod outside;
pub mod parent;
mod placing;
mod root_hash;
mod spine;
mod stack;
pub mod stand_in;
mod tidy;
mod work;
