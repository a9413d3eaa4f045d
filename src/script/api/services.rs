//! systemd services, by the files and symlinks that `systemctl` would make. Needs `services`.

use camino::{Utf8Path, Utf8PathBuf};
use rhai::plugin::*;

use super::super::effect;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::reading;
use super::unit::{self, Name};
use crate::target::{Attributes, FileKind, Target};

/// Where the image's administrator keeps units and symlinks.
const ETC: &str = "/etc/systemd/system";
/// Where units are looked for, first wins.
const UNITS: [&str; 4] = [ETC, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

fn begin(ctx: &NativeCallContext<'_>, image: &Image, name: &str) -> Result<Name, HostError> {
    let unit = Name::parse(name).ok_or_else(|| HostError::usage("unit", format!("`{name}` is no unit's name")))?;
    image.need(ctx, &Permission::Services)?;
    Ok(unit)
}

/// The unit's file, `None` when the image has none. A mask counts as none.
fn find(image: &Image, unit: &Name) -> Result<Option<Utf8PathBuf>, HostError> {
    let target = image.target();
    for folder in UNITS {
        let path = Utf8Path::new(folder).join(unit.file());
        if target.stat(&target.resolve(&path, true)?)?.is_some_and(|stat| stat.kind == FileKind::File) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn missing(unit: &Name) -> HostError {
    HostError::new("services.missing", format!("the image has no unit `{unit}`"))
        .help("install the package that brings it first, or write it with `write_unit`")
}

/// The packages of a test bring no units: while its image has none at all, every unit is taken to be there.
fn pretended(image: &Image) -> Result<bool, HostError> {
    if image.test().is_none() {
        return Ok(false);
    }
    for folder in &UNITS[1..] {
        if image.target().stat(Utf8Path::new(folder))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Enables a unit and those that it names in `Also=`. A unit seen before is done.
fn enable(image: &Image, unit: &Name, seen: &mut Vec<String>) -> Result<(), HostError> {
    if seen.contains(&unit.to_string()) {
        return Ok(());
    }
    seen.push(unit.to_string());
    let (path, text) = match find(image, unit)? {
        Some(path) => {
            let text = reading::text(image, &path)?;
            (path, text)
        }
        None if pretended(image)? => (
            Utf8Path::new("/usr/lib/systemd/system").join(unit.file()),
            "[Install]\nWantedBy=multi-user.target\n".into(),
        ),
        None => return Err(missing(unit)),
    };
    let install = unit::install(unit, &text);
    if install.links.is_empty() && install.also.is_empty() {
        image.events().warn(format!("`{unit}` has no [Install] section that enables it; others start it"));
    }
    for link in &install.links {
        let at = Utf8Path::new(ETC).join(link);
        // An alias of the same name would replace the unit by a link to itself.
        if at != path {
            image.target().symlink(&path, &at)?;
        }
    }
    for also in install.also.iter().filter_map(|name| Name::parse(name)) {
        if find(image, &also)?.is_some() {
            enable(image, &also, seen)?;
        }
    }
    Ok(())
}

/// Removes every symlink of the unit below [`ETC`]: in the folders of its wishes, and its aliases.
fn disable(target: &dyn Target, unit: &Name) -> Result<(), HostError> {
    let etc = Utf8Path::new(ETC);
    let is_link =
        |path: &Utf8Path| Ok::<_, HostError>(target.stat(path)?.is_some_and(|stat| stat.kind == FileKind::Symlink));
    let names = match target.list(etc) {
        Err(error) if error.code == "io.not-found" => return Ok(()),
        other => other?,
    };
    for name in names {
        let path = etc.join(&name);
        if [".wants", ".requires", ".upholds"].iter().any(|end| name.ends_with(end)) {
            let link = path.join(unit.to_string());
            if is_link(&link)? {
                target.remove(&link)?;
            }
        } else if is_link(&path)? && target.read_link(&path)?.file_name() == Some(&unit.file()) {
            target.remove(&path)?;
        }
    }
    Ok(())
}

/// Services.
#[export_module]
pub mod verbs {
    /// Starts a unit at boot: `ssh` or `ssh.service` or `serial-getty@ttyS0.service`.
    #[rhai_fn(return_raw)]
    pub fn enable_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let unit = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        Ok(enable(image, &unit, &mut Vec::new())?)
    }

    /// Does not start a unit at boot; one that the image does not have is no error.
    #[rhai_fn(return_raw)]
    pub fn disable_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let unit = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        Ok(disable(image.target(), &unit)?)
    }

    /// Keeps a unit from being started by anything.
    #[rhai_fn(return_raw)]
    pub fn mask_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let unit = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        let path = Utf8Path::new(ETC).join(unit.to_string());
        Ok(image.target().symlink(Utf8Path::new("/dev/null"), &path).map_err(HostError::from)?)
    }

    /// Writes a unit of the image's own: `image.write_unit("job.service", "[Service]…")`. Enabling it is another call.
    #[rhai_fn(return_raw)]
    pub fn write_unit(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, text: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let unit = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into(), effect::text(text)])?;
        let path = Utf8Path::new(ETC).join(unit.to_string());
        let attributes = Attributes { mode: Some(0o644), ..Attributes::default() };
        Ok(image.target().write(&path, text.as_bytes(), attributes).map_err(HostError::from)?)
    }
}
