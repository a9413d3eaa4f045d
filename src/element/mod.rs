//! Finds elements and reads them; runs nothing.
//!
//! In: a [`Request`](crate::request::Request) and folders that hold elements. Out: [`resolve()`]: the elements of the image in
//! order, and what follows from them without running anything: variables and options ([`settings()`]), packages
//! ([`packages::resolve`]). Not here: the order of hooks between elements (`plan/`), running hooks (`script/`).

pub mod architecture;
pub mod audit;
pub mod built_in;
pub mod catalog;
#[cfg(test)]
mod diagnostics;
pub mod error;
pub mod expansion;
pub mod hooks;
pub mod implicit;
pub mod manifest;
pub mod model;
pub mod option;
#[cfg(test)]
mod own;
pub mod packages;
pub mod pkg_map;
pub mod resolve;
pub mod secret;
pub mod settings;
pub mod shell_functions;
mod stand_in;
pub mod wish;

pub use catalog::Catalog;
pub use error::ElementError;
pub use hooks::{Hook, HookKind};
pub use model::{Element, OperatingSystem};
pub use option::{OptionKind, OptionSpec};
pub use resolve::{expand, resolve, resolve_any};
pub use settings::{Settings, settings};
