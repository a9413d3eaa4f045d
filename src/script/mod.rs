//! Rhai, and only here.
