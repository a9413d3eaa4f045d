//! The verbs: native functions whose first parameter is the image, one file a noun.
//!
//! In: the image and plain values. Out: plain values or a [`HostError`](super::host_error::HostError). Each verb enters the
//! image, asks for its permission, records its effect, then acts. No verb bears a phase's name: an element's phase function
//! would take its place.

#![allow(clippy::unwrap_used, reason = "`export_module` writes it, where it has checked the type")]

pub mod account_files;
pub mod archive;
pub mod checkout;
pub mod command;
pub mod copy;
pub mod disk;
pub mod edit;
pub mod error;
pub mod facts;
pub mod fetch;
pub mod files;
pub mod home;
pub mod host;
pub mod kernel;
pub mod messages;
pub mod openrc;
pub mod options;
pub mod packages;
pub mod reading;
pub mod repositories;
pub mod secrets;
pub mod service;
pub mod services;
pub mod systemd;
pub mod template;
pub mod testing;
pub mod unit;
pub mod users;

use rhai::Module;
use rhai::plugin::combine_with_exported_module;

use super::image::Image;

/// All verbs.
pub fn module() -> Module {
    let mut module = Module::new();
    module.set_custom_type::<Image>("Image");
    combine_with_exported_module!(&mut module, "error", error::verbs);
    combine_with_exported_module!(&mut module, "facts", facts::verbs);
    combine_with_exported_module!(&mut module, "reading", reading::verbs);
    combine_with_exported_module!(&mut module, "template", template::verbs);
    combine_with_exported_module!(&mut module, "messages", messages::verbs);
    combine_with_exported_module!(&mut module, "files", files::verbs);
    combine_with_exported_module!(&mut module, "edit", edit::verbs);
    combine_with_exported_module!(&mut module, "copy", copy::verbs);
    combine_with_exported_module!(&mut module, "packages", packages::verbs);
    combine_with_exported_module!(&mut module, "services", services::verbs);
    combine_with_exported_module!(&mut module, "users", users::verbs);
    combine_with_exported_module!(&mut module, "command", command::verbs);
    combine_with_exported_module!(&mut module, "host", host::verbs);
    combine_with_exported_module!(&mut module, "fetch", fetch::verbs);
    combine_with_exported_module!(&mut module, "archive", archive::verbs);
    combine_with_exported_module!(&mut module, "checkout", checkout::verbs);
    combine_with_exported_module!(&mut module, "repositories", repositories::verbs);
    combine_with_exported_module!(&mut module, "kernel", kernel::verbs);
    combine_with_exported_module!(&mut module, "secrets", secrets::verbs);
    combine_with_exported_module!(&mut module, "disk", disk::verbs);
    module
}

/// What only tests of elements have.
pub fn test_module() -> Module {
    let mut module = Module::new();
    combine_with_exported_module!(&mut module, "testing", testing::verbs);
    module
}

#[cfg(test)]
mod tests {
    use crate::plan::Phase;

    #[test]
    fn no_verb_bears_the_name_of_a_phase() {
        for module in [super::module(), super::test_module()] {
            let signatures: Vec<String> = module.gen_fn_signatures_with_mapper(|name| name.into()).collect();
            assert!(signatures.len() > 5);
            for signature in signatures {
                let name = signature.split('(').next().unwrap_or_default();
                assert!(Phase::ALL.iter().all(|phase| phase.function() != name), "{signature}");
            }
        }
    }
}
