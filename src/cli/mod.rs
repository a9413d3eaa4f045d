//! Words in.

pub mod test;
