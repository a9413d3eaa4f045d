//! Runs one hook.
//!
//! In: its name, where it runs, its environment. Out: how long it took and what it printed, or its failure with its status. Not here: which hooks run,
//! and in what order (`plan/`, `listing`).

use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::environment::Environment;
use super::error::tail;
use super::limits::Limits;
use super::{HookError, IN_TARGET, Site, seen_hooks, transcript};
use crate::plan::{Phase, Place};
use crate::sandbox::chroot::Chroot;

/// A hook that ran well.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How long it took.
    pub time: Duration,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
}

/// Runs the hook `name` of `phase` within `limits`; inside `chroot` when there is one.
///
/// # Errors
/// It fails, or cannot be started.
pub fn run(
    site: &Site<'_>,
    phase: Phase,
    name: &str,
    chroot: Option<&Chroot>,
    environment: &Environment,
    limits: &Limits,
) -> Result<Ran, HookError> {
    let place = if chroot.is_some() { Place::Image } else { Place::Host };
    let path = seen_hooks(site, place).join(phase.directory()).join(name);
    site.events.output(transcript::running(path.as_str()));
    let begun = Instant::now();
    // Through bash: what is no program by itself is read as a script, and what is missing gives the statuses of a shell.
    let command = environment.bash("exec \"$0\"", &[path.as_str()]);
    let command = match chroot {
        Some(chroot) => command.inside(chroot),
        None => command,
    };
    let output = limits.on(command).run(&site.events)?;
    if output.status != 0 {
        let last = tail(&[output.stdout, output.stderr].concat());
        return Err(HookError::Status {
            hook: format!("{}/{name}", phase.directory()),
            status: output.status,
            tail: last,
        });
    }
    site.events.output(transcript::completed(name));
    Ok(Ran { time: begun.elapsed(), stdout: output.stdout })
}

/// The image with the hooks folder in it, read-only, and with the network of the host: where hooks inside the image run.
/// `devices` are block devices that they see.
///
/// # Errors
/// The place for the hooks folder cannot be made, or the image has no bash.
pub fn chroot(site: &Site<'_>, hook: &str, devices: &[camino::Utf8PathBuf]) -> Result<Inside, HookError> {
    let tree = site.tree();
    let at = tree.join(IN_TARGET.trim_start_matches('/'));
    let made = inside(&tree, IN_TARGET).map_err(HookError::file("make the folder", &at))?;
    let has_bash = ["bin/bash", "usr/bin/bash"].iter().any(|path| tree.join(path).symlink_metadata().is_ok());
    if !has_bash {
        return Err(HookError::NoBash { hook: hook.to_owned() });
    }
    let chroot = Chroot::new(&tree).with_plain_network().with_bind(&site.hooks(), Utf8Path::new(IN_TARGET), true);
    let chroot = devices.iter().fold(chroot, |chroot, device| chroot.with_device(device));
    Ok(Inside { chroot, made })
}

/// The image while hooks run in it.
#[derive(Debug)]
pub struct Inside {
    /// Where commands run.
    pub chroot: Chroot,
    made: Vec<camino::Utf8PathBuf>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The places that mounts needed: gone, when hooks left them empty.
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Makes the folder `path` of `tree` and says what was made; refuses links on the way, which lead out of the tree.
fn inside(tree: &Utf8Path, path: &str) -> std::io::Result<Vec<camino::Utf8PathBuf>> {
    use std::os::unix::fs::PermissionsExt;
    let mut at = tree.to_owned();
    let mut made = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => return Err(std::io::Error::new(std::io::ErrorKind::NotADirectory, format!("{at} is no folder"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir(&at)?;
                if part == "tmp" {
                    // A tree needs it anyway.
                    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o1777))?;
                } else {
                    made.push(at.clone());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}
