//! Words in.
