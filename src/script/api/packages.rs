//! The image's packages. Needs `packages`; asking for a version needs nothing.

use rhai::Array;
use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;

fn names(array: Array) -> Result<Vec<String>, HostError> {
    let name = |value: Dynamic| {
        let name = value.into_string().unwrap_or_default();
        // A leading dash would be an option of the package manager.
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(HostError::usage("package", format!("`{name}` is no package name"))
                .help("write a list of names: `[\"vim\", \"less\"]`"));
        }
        Ok(name)
    };
    array.into_iter().map(name).collect()
}

fn begin(ctx: &NativeCallContext<'_>, image: &Image, array: Array) -> Result<Vec<String>, HostError> {
    let names = names(array)?;
    image.need(ctx, &Permission::Packages)?;
    image.record(ctx, vec![names.clone().into()])?;
    Ok(names)
}

/// Packages.
#[export_module]
pub mod verbs {
    /// Installs packages by their real names.
    #[rhai_fn(return_raw)]
    pub fn install_packages(ctx: NativeCallContext<'_>, image: &mut Image, names: Array) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let names = begin(&ctx, image, names)?;
        if names.is_empty() {
            return Ok(());
        }
        Ok(image.target().packages().install(&names).map_err(HostError::from)?)
    }

    /// Removes packages.
    #[rhai_fn(return_raw)]
    pub fn remove_packages(ctx: NativeCallContext<'_>, image: &mut Image, names: Array) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let names = begin(&ctx, image, names)?;
        if names.is_empty() {
            return Ok(());
        }
        Ok(image.target().packages().remove(&names).map_err(HostError::from)?)
    }

    /// Brings every installed package up to date.
    #[rhai_fn(return_raw)]
    pub fn update_packages(ctx: NativeCallContext<'_>, image: &mut Image) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        image.need(&ctx, &Permission::Packages)?;
        image.record(&ctx, Vec::new())?;
        Ok(image.target().packages().update().map_err(HostError::from)?)
    }

    /// The installed version of a package, `()` when it is not installed.
    #[rhai_fn(return_raw)]
    pub fn package_version(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<Dynamic> {
        let _running = image.enter(&ctx);
        let version = image.target().packages().version(name).map_err(HostError::from)?;
        Ok(version.map_or(Dynamic::UNIT, Dynamic::from))
    }
}
