//! What is wrong or doubtful in an element, found without running anything.
//!
//! In: an element's folder and the elements there are. Out: [`Finding`]s, each of one rule, with its place and, where it is certain,
//! its [`Fix`]. One rule a file in `rules/`. Rules that mean that a script cannot work are checked before a build, too
//! ([`run::before_a_build`]). Not here: which elements are looked at and how findings are shown (`cli/`).

pub mod file;
pub mod finding;
pub mod fix;
pub mod load_error;
pub mod report;
pub mod rule;
pub mod rules;
pub mod run;
pub mod sarif;
pub mod subject;
pub mod suppression;
pub mod uses;

pub use finding::{Finding, Fix};
pub use rule::Rule;
pub use subject::Subject;
