//! The image's account files, read and written through its target.
//!
//! In: names of files. Out: their texts; new texts in their place, mode and owner kept. Not here: what the lines mean
//! (`target::accounts`).

use camino::Utf8Path;

use super::super::host_error::HostError;
use super::super::image::Image;
use super::reading;
use crate::target::{Attributes, accounts};

/// Users.
pub const PASSWD: &str = "/etc/passwd";
/// Groups.
pub const GROUP: &str = "/etc/group";
/// Passwords of users.
pub const SHADOW: &str = "/etc/shadow";
/// Passwords of groups.
pub const GSHADOW: &str = "/etc/gshadow";

/// The text of the file; a tree without it has no accounts yet.
pub fn stored(image: &Image, file: &str) -> Result<String, HostError> {
    Ok(optional(image, file)?.unwrap_or_default())
}

/// The text of the file, when it is there.
pub fn optional(image: &Image, file: &str) -> Result<Option<String>, HostError> {
    match reading::text(image, Utf8Path::new(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.code == "io.not-found" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file where it really is. `secret` is the mode of a new file that not everybody may read; it then belongs to the
/// group `shadow`, where the image has one.
pub fn store(image: &Image, file: &str, text: &str, secret: Option<u32>) -> Result<(), HostError> {
    let target = image.target();
    let real = target.resolve(Utf8Path::new(file), true)?;
    let mut attributes = Attributes::default();
    if let (Some(mode), None) = (secret, target.stat(&real)?) {
        let shadow = accounts::number(&stored(image, GROUP)?, "shadow");
        attributes.mode = Some(if shadow.is_some() { mode } else { mode & 0o700 });
        attributes.group = shadow.map(|gid| gid.to_string());
    }
    Ok(target.write(&real, text.as_bytes(), attributes)?)
}

/// A line of `/etc/shadow`. No day of a last change: the line would differ between builds.
pub fn shadow_line(name: &str, hash: &str) -> String {
    format!("{name}:{hash}::0:99999:7:::")
}
