//! kiln bakes bootable disk images from *elements*.
//!
//! Data flows one way. Each room takes a value and hands on a value; nobody reaches back.
//!
//! ```text
//!  words            Request          Plan              Events              Artifacts
//!  (argv, env,  ->  what was    ->   ordered steps ->  what happened  ->   files, digests,
//!   YAML)           asked for        with keys         as it happens       manifest
//!  cli/             request.rs       plan/             builder/            disk/ boot/ format/
//!                                      ^                 |
//!                           element/ --+                 +--> ui/ (bars, log, report)
//! ```
//!
//! - [`cli`]: words in, one file a verb; after it nobody knows which words were spoken.
//! - [`request`]: what was asked for.
//! - [`element`]: finds elements and reads them; runs nothing.
//! - [`lint`]: what is wrong or doubtful in an element, found without running it.
//! - [`reference`](mod@reference): what elements can call, as pages.
//! - [`plan`]: joins the two into a flat list of steps; pure.
//! - [`builder`]: runs a plan in a process of its own, in namespaces of its own.
//! - [`script`]: Rhai, and only here. [`target`]: what a hook may do to the tree being made.
//! - [`hook`]: shell hooks, and what diskimage-builder lets them see.
//! - [`plumbing`]: what elements ask the program for by name: source repositories, static files, service names.
//! - [`distro`]: how a distribution's root tree and packages are installed.
//! - [`disk`], [`boot`], [`format`](mod@format): from a finished tree to artifacts.
//! - [`store`]: what is kept between builds. [`sandbox`]: the kernel, and only here.
//! - [`inspect`]: what is on a disk image, read without mounting it. [`registry`]: sends containers' images.
//! - [`port`]: makes a Rhai draft of a shell element.
//! - [`vm`]: starts a finished image in QEMU.
//! - [`event`], [`diagnostic`]: what a builder says, and errors that point into a user's file. [`ui`]: the only room that prints.

pub mod boot;
pub mod builder;
pub mod cli;
pub mod diagnostic;
pub mod disk;
pub mod distro;
pub mod element;
pub mod event;
pub mod format;
pub mod hook;
pub mod inspect;
pub mod lint;
pub mod plan;
pub mod plumbing;
pub mod port;
pub mod reference;
pub mod registry;
pub mod request;
pub mod sandbox;
pub mod script;
pub mod store;
pub mod target;
pub mod ui;
pub mod vm;
