//! What a script may know about the build. Needs no permission, has no effect.

use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::nearest::nearest;

/// Facts.
#[export_module]
pub mod verbs {
    /// The distribution: `debian`.
    pub fn distro(image: &mut Image) -> String {
        image.world().facts.distribution.clone()
    }

    /// The family that the distribution belongs to: `debian`, `redhat`.
    pub fn family(image: &mut Image) -> String {
        image.world().facts.family.clone()
    }

    /// The release as the user names it: `bookworm`, `stable`.
    pub fn release(image: &mut Image) -> String {
        image.world().facts.release.clone()
    }

    /// The architecture in Debian's spelling: `amd64`.
    pub fn arch(image: &mut Image) -> String {
        image.world().facts.arch.clone()
    }

    /// The image's name, without folder or suffix.
    pub fn image_name(image: &mut Image) -> String {
        image.world().facts.image_name.clone()
    }

    /// Label of the root file system.
    pub fn root_label(image: &mut Image) -> String {
        image.world().facts.root_label.clone()
    }

    /// Label of the file system mounted at `/boot`, `""` without one.
    pub fn boot_label(image: &mut Image) -> String {
        image.world().facts.boot_label.clone()
    }

    /// The image has this element.
    pub fn has_element(image: &mut Image, name: &str) -> bool {
        image.world().facts.elements.iter().any(|element| element == name)
    }

    /// Text of a variable that elements may read, `""` when it is not set.
    pub fn env(image: &mut Image, name: &str) -> String {
        image.world().facts.variables.get(name).cloned().unwrap_or_default()
    }

    /// A variable that elements may read is set, be it to nothing.
    pub fn has_env(image: &mut Image, name: &str) -> bool {
        image.world().facts.variables.contains_key(name)
    }

    /// Value of one of the element's own options.
    #[rhai_fn(return_raw)]
    pub fn option(image: &mut Image, name: &str) -> RhaiResult<Dynamic> {
        let world = image.world();
        let Some(value) = world.options.get(name) else {
            let text = format!("element `{}` has no option `{name}`", image.element().name);
            let error = HostError::usage("option", text);
            return Err(match nearest(name, world.options.keys().map(String::as_str)) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("declare it in `ELEMENT`: `options: #{ … }`"),
            }
            .into());
        };
        rhai::serde::to_dynamic(value)
    }
}
