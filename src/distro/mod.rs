//! Distributions.

pub mod apt;
