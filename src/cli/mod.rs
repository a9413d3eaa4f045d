//! Words in.
pub mod boot;
