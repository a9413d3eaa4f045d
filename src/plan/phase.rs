//! The phases, declared once.

use serde::{Deserialize, Serialize};

/// One of DIB's ordered stages, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Makes the root tree.
    Root,
    /// Brings files of the host into the tree.
    ExtraData,
    /// Before packages.
    PreInstall,
    /// Packages and software.
    Install,
    /// After packages.
    PostInstall,
    /// Changes to the finished root tree from outside.
    PostRoot,
    /// Describes disks.
    BlockDevice,
    /// Before the boot loader, from outside.
    PreFinalise,
    /// Boot loader and last changes.
    Finalise,
    /// Takes away what the build needed.
    Cleanup,
}

impl Phase {
    /// All phases in the order in which they run.
    pub const ALL: [Self; 10] = [
        Self::Root,
        Self::ExtraData,
        Self::PreInstall,
        Self::Install,
        Self::PostInstall,
        Self::PostRoot,
        Self::BlockDevice,
        Self::PreFinalise,
        Self::Finalise,
        Self::Cleanup,
    ];

    /// DIB's name: `pre-install`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::ExtraData => "extra-data",
            Self::PreInstall => "pre-install",
            Self::Install => "install",
            Self::PostInstall => "post-install",
            Self::PostRoot => "post-root",
            Self::BlockDevice => "block-device",
            Self::PreFinalise => "pre-finalise",
            Self::Finalise => "finalise",
            Self::Cleanup => "cleanup",
        }
    }

    /// The function of a Rhai element that belongs to this phase: `pre_install`.
    pub fn function(self) -> String {
        self.as_str().replace('-', "_")
    }

    /// The folder of an element that holds this phase's hook files: `pre-install.d`.
    pub fn directory(self) -> String {
        format!("{}.d", self.as_str())
    }

    /// The phase whose DIB name or Rhai function name `name` is.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name || phase.function() == name)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
