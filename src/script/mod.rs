//! Rhai, and only here.

pub mod syntax;
