//! Debian and its relatives.
