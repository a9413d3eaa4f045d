//! systemd's units, by the files and symlinks that `systemctl` would make.
//!
//! In: a unit's name, the image. Out: symlinks below `/etc/systemd/system`. Not here: permissions, other init systems.

use camino::{Utf8Path, Utf8PathBuf};

use super::super::host_error::HostError;
use super::super::image::Image;
use super::reading;
use super::unit::{self, Name};
use crate::target::{FileKind, Target};

/// Where the image's administrator keeps units and symlinks.
pub const ETC: &str = "/etc/systemd/system";
/// Where units are looked for, first wins.
const UNITS: [&str; 4] = [ETC, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

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

/// The packages of an image in memory bring no units: while it has none at all, every unit is taken to be there.
fn pretended(image: &Image) -> Result<bool, HostError> {
    if !image.target().is_pretended() {
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
pub fn enable(image: &Image, unit: &Name, seen: &mut Vec<String>) -> Result<(), HostError> {
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
        None => {
            let error = HostError::new("services.missing", format!("the image has no unit `{unit}`"));
            return Err(error.help("install the package that brings it first, or write it with `write_unit`"));
        }
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
pub fn disable(target: &dyn Target, unit: &Name) -> Result<(), HostError> {
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

/// Keeps anything from starting the unit.
pub fn mask(target: &dyn Target, unit: &Name) -> Result<(), HostError> {
    let path = Utf8Path::new(ETC).join(unit.to_string());
    Ok(target.symlink(Utf8Path::new("/dev/null"), &path)?)
}
