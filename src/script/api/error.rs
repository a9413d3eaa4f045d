//! How a script looks at a caught error.

use rhai::plugin::*;

use super::super::host_error::HostError;

/// Errors.
#[export_module]
pub mod verbs {
    /// An error of a verb.
    pub type Error = HostError;

    /// Stable dotted code: `io.not-found`.
    #[rhai_fn(get = "code", pure)]
    pub fn code(error: &mut HostError) -> String {
        error.code.clone()
    }

    /// What was attempted and what went wrong.
    #[rhai_fn(get = "message", pure)]
    pub fn message(error: &mut HostError) -> String {
        error.message.clone()
    }

    /// The message.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn text(error: &mut HostError) -> String {
        error.message.clone()
    }
}
