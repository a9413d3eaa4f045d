//! Packages, by the image's own `install-packages`.
//!
//! In: names. Out: an image with or without them. The tool is what some element put into the image (`bin/install-packages`); it
//! knows the distribution's package manager. Not here: which packages (`element/packages`).

use super::environment::Environment;
use super::error::tail;
use super::limits::Limits;
use super::{HookError, Site};
use crate::sandbox::chroot::Chroot;

/// Installs `packages`, or removes them. `map` is the element whose map gives their real names.
///
/// # Errors
/// The tool is missing (status 127) or fails.
pub fn run(
    site: &Site<'_>,
    chroot: &Chroot,
    environment: &Environment,
    map: Option<&str>,
    packages: &[String],
    remove: bool,
    limits: &Limits,
) -> Result<(), HookError> {
    let mut words = vec!["install-packages"];
    words.extend(remove.then_some("-e"));
    words.extend(map.into_iter().flat_map(|element| ["-m", element]));
    words.extend(packages.iter().map(String::as_str));
    let script = "exec install-packages \"$@\"";
    let command = environment.bash(script, &words).inside(chroot);
    let output = limits.on(command).run(&site.events)?;
    if output.status == 0 {
        return Ok(());
    }
    let mut last = tail(&[output.stdout, output.stderr].concat());
    if output.status == 127 {
        last.push(
            "no element brought `install-packages`: add the one of the distribution's package manager".to_owned(),
        );
    }
    Err(HookError::Packages { words: words[1..].join(" "), status: output.status, tail: last })
}
