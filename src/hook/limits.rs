//! What a hook may reach when the user wants hooks confined.
//!
//! In: the plan's wish, the build's folders, whether the hook's element declares the network. Out: [`Limits`] on a command: no
//! network, and nothing to write but the build folder (the tree and the hooks are in it), temporary folders and the two caches that
//! elements share. Without the wish there are none, as under DIB. Not here: how the kernel enforces them
//! (`sandbox::confinement`).

use camino::{Utf8Path, Utf8PathBuf};

use super::{HookError, Site};
use crate::sandbox::command::Command;
use crate::sandbox::confinement::Confinement;

/// Devices that every program may write to.
const DEVICES: [&str; 8] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/shm"];

/// Variables that name folders for temporary files and for what elements keep between builds.
const FOLDERS: [&str; 3] = ["TMPDIR", "DIB_IMAGE_CACHE", "DIB_LOCKFILES"];

/// Limits of a command.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    confinement: Option<Confinement>,
    without_network: bool,
}

impl Limits {
    /// The limits of a hook of `element`; `nodes` are the image's own block devices.
    ///
    /// # Errors
    /// Hooks are to be confined, and the kernel cannot.
    pub fn of(site: &Site<'_>, element: Option<&str>, nodes: &[Utf8PathBuf]) -> Result<Self, HookError> {
        let Some(networked) = &site.plan.confine else { return Ok(Self::default()) };
        let network = element.is_some_and(|element| networked.contains(element));
        Ok(Self { without_network: !network, ..Self::on_files(site, nodes)? })
    }

    /// Those of `environment.d` where no build runs: temporary files are all that it may write.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn outside_builds() -> Result<Self, HookError> {
        let paths = DEVICES.into_iter().chain(["/tmp"]).map(Utf8Path::new);
        let confinement = Confinement::writing_below(paths).map_err(HookError::Confine)?;
        Ok(Self { confinement: Some(confinement), without_network: true })
    }

    /// As [`Self::of`], for what reaches the network whoever asks: the image's own tool for packages.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn on_files(site: &Site<'_>, nodes: &[Utf8PathBuf]) -> Result<Self, HookError> {
        if site.plan.confine.is_none() {
            return Ok(Self::default());
        }
        let value = |name: &str| site.plan.environment.get(name).filter(|value| !value.is_empty());
        let folders = FOLDERS.into_iter().filter_map(value).map(|folder| site.plan.directory.join(folder));
        let temporary = value("TMPDIR").is_none().then(|| Utf8PathBuf::from("/tmp"));
        let folders: Vec<Utf8PathBuf> = folders.chain(temporary).chain(nodes.iter().cloned()).collect();
        let own = [site.build.as_path(), site.images.as_path()];
        let paths = own.into_iter().chain(DEVICES.map(Utf8Path::new)).chain(folders.iter().map(Utf8PathBuf::as_path));
        let confinement = Confinement::writing_below(paths).map_err(HookError::Confine)?;
        Ok(Self { confinement: Some(confinement), without_network: false })
    }

    /// `command` within these limits.
    pub fn on(&self, command: Command) -> Command {
        command.confined(self.confinement.as_ref()).without_network(self.without_network)
    }
}
