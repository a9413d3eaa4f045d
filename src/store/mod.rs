//! What is kept between builds.

pub mod layers;
