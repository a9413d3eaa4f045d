//! OpenRC's services, by the symlinks that `rc-update` would make.
//!
//! In: a service's name, the image. Out: symlinks in `/etc/runlevels`. Not here: permissions, other init systems.

use camino::Utf8Path;

use super::super::host_error::HostError;
use super::super::image::Image;
use super::unit::Name;
use crate::target::{FileKind, Target};

/// Where the scripts are.
pub const SCRIPTS: &str = "/etc/init.d";
const RUNLEVELS: &str = "/etc/runlevels";

/// The script's name; only services have one.
///
/// # Errors
/// `services.unsupported`.
pub fn name(unit: &Name) -> Result<String, HostError> {
    let text = unit.to_string();
    text.strip_suffix(".service").map(str::to_owned).ok_or_else(|| {
        HostError::new(
            "services.unsupported",
            format!("the image starts services with OpenRC, which has nothing like `{unit}`"),
        )
    })
}

/// Starts the service in the runlevel `default`.
pub fn enable(image: &Image, unit: &Name) -> Result<(), HostError> {
    let (target, name) = (image.target(), name(unit)?);
    let script = Utf8Path::new(SCRIPTS).join(&name);
    let there = target.stat(&target.resolve(&script, true)?)?.is_some();
    if !there && !target.is_pretended() {
        let error = HostError::new("services.missing", format!("the image has no service `{name}`"));
        return Err(error.help("install the package that brings it first, or write it with `write_unit`"));
    }
    Ok(target.symlink(&script, &Utf8Path::new(RUNLEVELS).join("default").join(name))?)
}

/// Removes the service from every runlevel.
pub fn disable(target: &dyn Target, unit: &Name) -> Result<(), HostError> {
    let name = name(unit)?;
    let levels = match target.list(Utf8Path::new(RUNLEVELS)) {
        Err(error) if error.code == "io.not-found" => return Ok(()),
        other => other?,
    };
    for level in levels {
        let link = Utf8Path::new(RUNLEVELS).join(level).join(&name);
        if target.stat(&link)?.is_some_and(|stat| stat.kind == FileKind::Symlink) {
            target.remove(&link)?;
        }
    }
    Ok(())
}

/// Keeps anything from starting the service: OpenRC skips what may not be executed.
pub fn mask(target: &dyn Target, unit: &Name) -> Result<(), HostError> {
    disable(target, unit)?;
    let script = target.resolve(&Utf8Path::new(SCRIPTS).join(name(unit)?), true)?;
    if target.stat(&script)?.is_some() {
        let mode = crate::target::Attributes { mode: Some(0o644), ..Default::default() };
        target.set_attributes(&script, mode)?;
    }
    Ok(())
}
