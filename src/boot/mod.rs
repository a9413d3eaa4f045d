//! Makes a disk boot.
