//! Shell hooks: DIB's interface to the executables of elements.
//!
//! In: what the plan says of them ([`crate::plan::ShellPlan`]), the build folder with the hooks and the tree. Out: hooks that ran, as
//! under DIB: the same variables, places, order, transcript and exit statuses. A hook's effect is what it changed in the tree and
//! in the build folder. Not here: which hooks there are (`plan/`), layers (`builder/`), Rhai (`script/`).

pub mod breakpoint;
pub mod collect;
pub mod environment;
mod error;
pub mod inherited;
pub mod install_packages;
pub mod limits;
pub mod listing;
pub mod name_servers;
pub mod printed;
pub mod run;
pub mod tool;
pub mod transcript;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::Events;
use crate::plan::ShellPlan;

pub use error::HookError;

/// What all hooks of a build share.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// What the plan says.
    pub plan: &'a ShellPlan,
    /// DIB's `TMP_BUILD_DIR`: holds `hooks`, `mnt`, `block-device`, `states`.
    pub build: Utf8PathBuf,
    /// DIB's `TMP_IMAGE_DIR`: where the disk image is made.
    pub images: Utf8PathBuf,
    /// DIB's `_LIB`: the files that elements source.
    pub library: Utf8PathBuf,
    /// The running program, for helpers that ask it.
    pub program: Utf8PathBuf,
    /// Who is told.
    pub events: Events,
}

impl Site<'_> {
    /// DIB's `TMP_HOOKS_PATH`.
    pub fn hooks(&self) -> Utf8PathBuf {
        self.build.join("hooks")
    }

    /// DIB's `TMP_MOUNT_PATH`: the tree.
    pub fn tree(&self) -> Utf8PathBuf {
        self.build.join("mnt")
    }
}

/// Where the hooks folder is seen inside the image.
pub const IN_TARGET: &str = "/tmp/in_target.d";

/// The folder of hooks as a hook in that place sees it.
fn seen_hooks(site: &Site<'_>, place: crate::plan::Place) -> Utf8PathBuf {
    match place {
        crate::plan::Place::Host => site.hooks(),
        crate::plan::Place::Image => Utf8Path::new(IN_TARGET).to_owned(),
    }
}
