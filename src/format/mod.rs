//! Image formats.
