//! What a user sees, tested from outside through the program; one binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what it did not expect, and runs programs"
)]

mod archive;
mod audit;
mod dib_words;
mod disk_functions;
mod docs;
mod elements;
mod images;
mod interruption;
mod layouts;
mod plan;
mod ported;
mod refusals;
mod rooms;
mod shell_hooks;
mod shell_library;
mod support;
mod tools;
mod upstream_elements;
mod upstream_plumbing;
