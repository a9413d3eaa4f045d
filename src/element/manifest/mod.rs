//! What an element says about itself.
//!
//! In: `const ELEMENT` of `element.rhai`, read and never run ([`rhai`]), and DIB's `element-deps` and
//! `element-provides` ([`dib`]). Out: a [`Manifest`]. A field given in both is an error. Not here: hooks, packages.

pub mod dib;
mod fields;
pub mod rhai;

use std::collections::BTreeMap;

use super::OptionSpec;
use super::model::OperatingSystem;
use crate::plan::Phase;

/// What an element says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// What it is for, in a line.
    pub summary: String,
    /// Elements that it needs, by their own names or by what they provide.
    pub depends: Option<Vec<String>>,
    /// What it stands for.
    pub provides: Option<Vec<String>>,
    /// Architectures that it works on, in Debian's spelling; empty means all.
    pub architectures: Vec<String>,
    /// What its scripts may do.
    pub permissions: Vec<String>,
    /// Options that it offers.
    pub options: BTreeMap<String, OptionSpec>,
    /// Stages of the program that run for it: phase and name of the stage.
    pub built_in: BTreeMap<Phase, String>,
    /// Sort keys of its phase functions and stages, where not `50-NAME`.
    pub order: BTreeMap<Phase, String>,
    /// Variables that it sets unless they are set.
    pub environment: Vec<(String, String)>,
    /// The operating system that it makes.
    pub system: Option<OperatingSystem>,
    /// The boot loader that kiln installs right after its finalise hook.
    pub boot_loader: Option<String>,
}
