//! Secrets of the build. Needs `secrets:` with the secret's name.

use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;

/// Secrets.
#[export_module]
pub mod verbs {
    /// Text of the secret that the build was given by this name (`--secret NAME=FILE`). Its text appears in no message and no
    /// record of effects.
    #[rhai_fn(return_raw)]
    pub fn secret(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<String> {
        let _running = image.enter(&ctx);
        image.need(&ctx, &Permission::Secret(name.to_owned()))?;
        image.record(&ctx, vec![name.into()])?;
        let text = image.target().outside().secret(name).map_err(HostError::from)?;
        image.hide(&text);
        Ok(text)
    }
}
