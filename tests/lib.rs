//! What a user sees, tested from outside through the program; one binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what it did not expect, and runs programs"
)]

mod against_dib;
mod archive;
mod audit;
mod boots;
mod confinement;
mod convert;
mod cut;
mod damaged_images;
mod dib_defects;
mod dib_semantics;
mod dib_strict;
mod dib_words;
mod disk_functions;
mod docker_daemon;
mod docs;
mod element_tools;
mod elements;
mod environment_d;
mod filled;
mod images;
mod interruption;
mod layout;
mod lint;
mod memory;
mod mutations;
mod plan;
mod ported;
mod push;
mod refusals;
mod rooms;
mod shell_hooks;
mod shell_library;
mod support;
mod tools;
mod turns;
mod upstream_elements;
mod upstream_plumbing;
mod workshop;
