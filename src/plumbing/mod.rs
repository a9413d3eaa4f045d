//! Work that elements ask the program for by name: what DIB's own plumbing elements do with shell and python.
//!
//! In: the name of a stage and a [`Site`]: the tree, the merged hooks folder, the elements, variables. Out: a changed tree, hooks
//! folder or folder beside the image. Everything written into the tree goes through [`Tree`], so a symlink in the image leads to
//! the image. One file a stage. Not here: when a stage runs (`plan/`), packages (`distro/`).

mod copy;
mod element_manifest;
mod error;
mod init_scripts;
mod install_bin;
mod install_static;
mod install_types;
mod manifests;
mod modprobe;
mod pkg_map;
mod source_repositories;
mod svc_map;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

pub use error::PlumbingError;

pub use crate::element::pkg_map::family_of as family;

use crate::element::built_in::STAGES;
use crate::event::Events;
use crate::sandbox::command::Command;
use crate::target::tree::Tree;
use crate::target::{Packages, TargetError};

/// What a stage works on and with.
pub struct Site<'a> {
    /// The tree, by its path on the host.
    pub root: &'a Utf8Path,
    /// The merged hooks folder, on the host: DIB's `TMP_HOOKS_PATH`.
    pub hooks: &'a Utf8Path,
    /// Name and folder of every element, in order.
    pub elements: &'a [(String, Utf8PathBuf)],
    /// The environment that hooks outside the image get.
    pub variables: &'a BTreeMap<String, String>,
    /// `debian`
    pub distribution: &'a str,
    /// `debian`
    pub family: &'a str,
    /// `bookworm`, `stable`
    pub release: &'a str,
    /// Debian's spelling: `amd64`.
    pub arch: &'a str,
    /// Name of the image without folder or suffix.
    pub image_name: &'a str,
    /// The folder that the build was started in.
    pub directory: &'a Utf8Path,
    /// Nothing may be fetched.
    pub offline: bool,
    /// Where lines and warnings go.
    pub events: &'a Events,
}

/// Carries out the stage of this name, one of [`STAGES`].
///
/// # Errors
/// Whatever kept it from being done; the text says what to change.
pub fn run(stage: &str, site: &Site<'_>) -> Result<(), PlumbingError> {
    match stage {
        "element-manifest" => element_manifest::run(site),
        "init-scripts" => init_scripts::run(site),
        "install-bin" => install_bin::run(site),
        "install-static" => install_static::run(site),
        "install-types" => install_types::run(site),
        "manifests" => manifests::run(site),
        "modprobe" => modprobe::run(site),
        "pkg-map" => pkg_map::run(site),
        "source-repositories" => source_repositories::run(site),
        "svc-map" => svc_map::run(site),
        _ => {
            let known: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
            Err(PlumbingError::UnknownStage { name: stage.to_owned(), known: known.join(", ") })
        }
    }
}

impl Site<'_> {
    /// The variable, when it is set to more than nothing.
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where manifests are kept in the image.
    fn manifest_folder(&self) -> Utf8PathBuf {
        inside(self.variable("DIB_MANIFEST_IMAGE_DIR").unwrap_or("/etc/dib-manifests"))
    }

    /// The host's path of a path in the image that has no symlink in it.
    fn host_path(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.root.join(path.as_str().trim_start_matches('/'))
    }

    fn tree(&self) -> Result<Tree, PlumbingError> {
        Ok(Tree::new(self.root, Arc::new(NoPackages), self.events.clone())?)
    }

    /// A command on the host with the environment of hooks.
    fn command<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(argv).directory(self.directory);
        for (name, value) in self.variables {
            command = command.env(name, value);
        }
        command
    }
}

/// `path` as an absolute path in the image.
fn inside(path: &str) -> Utf8PathBuf {
    Utf8Path::new("/").join(path.trim_start_matches('/'))
}

/// A stage installs no packages.
struct NoPackages;

impl NoPackages {
    fn refused() -> TargetError {
        TargetError::new("packages.missing", "a built-in stage installs no packages")
    }
}

impl Packages for NoPackages {
    fn install(&self, _: &[String]) -> Result<(), TargetError> {
        Err(Self::refused())
    }

    fn remove(&self, _: &[String]) -> Result<(), TargetError> {
        Err(Self::refused())
    }

    fn update(&self) -> Result<(), TargetError> {
        Err(Self::refused())
    }

    fn version(&self, _: &str) -> Result<Option<String>, TargetError> {
        Err(Self::refused())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Bench;
    use super::*;

    #[test]
    fn every_stage_that_a_manifest_may_name_is_carried_out() {
        let bench = Bench::new();
        let cache = bench.path("cache").into_string();
        let bench = bench.set("DIB_INIT_SYSTEM", "systemd").set("DIB_IMAGE_CACHE", &cache);
        for (name, _) in STAGES {
            bench.run(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let error = bench.run("instal-bin").unwrap_err().to_string();
        assert!(
            error.starts_with("there is no built-in stage `instal-bin`; the stages are element-manifest"),
            "{error}"
        );
    }
}
