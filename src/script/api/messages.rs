//! What a script says. Needs no permission.

use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;

/// Messages.
#[export_module]
pub mod verbs {
    /// Says something worth a line.
    pub fn log(image: &mut Image, text: &str) {
        image.events().info(format!("{}: {}", image.element().name, image.shown(text)));
    }

    /// Says something that the user should change.
    pub fn warn(image: &mut Image, text: &str) {
        image.events().warn(format!("{}: {}", image.element().name, image.shown(text)));
    }

    /// Stops the build, unless caught (code `element.failed`).
    #[rhai_fn(return_raw)]
    pub fn fail(image: &mut Image, text: &str) -> RhaiResult<()> {
        Err(HostError::new("element.failed", image.shown(text)).into())
    }
}
