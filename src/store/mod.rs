//! What is kept between builds.

pub mod builtin;
pub mod layers;
