//! Unpacking archives into the image. Needs `write:` with a prefix of the destination.
//!
//! Formats: tar (ustar, GNU, pax), plain or compressed with gzip, xz or zstd, told by their first bytes. Every name in the
//! archive is judged by where it really leads, after the links that the archive itself brought.

use std::fs::File;
use std::io::{BufReader, Read, Seek};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rhai::Map;
use rhai::plugin::*;
use serde::Deserialize;
use tar::EntryType;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::jail;
use super::options;
use crate::target::Attributes;
use crate::target::outside::Material;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExtractOptions {
    /// Leading folders of every name that are left out.
    strip: i64,
    owner: Option<String>,
    group: Option<String>,
    /// The archive's own numbers instead of root's.
    keep_owner: bool,
}

/// An archive that cannot be unpacked.
pub fn broken(material: &Material, reason: &dyn std::fmt::Display) -> HostError {
    HostError::new("archive.broken", format!("cannot unpack {}: {reason}", material.name))
}

/// The archive's bytes, whatever compressed them.
///
/// # Errors
/// `archive.broken`.
pub fn open(material: &Material) -> Result<Box<dyn Read>, HostError> {
    let fail = |error: std::io::Error| broken(material, &error);
    let mut file = File::open(&material.file).map_err(fail)?;
    let mut start = Vec::new();
    file.by_ref().take(6).read_to_end(&mut start).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let file = BufReader::new(file);
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file).map_err(fail)?),
        [b'B', b'Z', b'h', ..] => return Err(broken(material, &"bzip2 is not understood; gzip, xz and zstd are")),
        [b'P', b'K', 3, 4, ..] => return Err(broken(material, &"zip is not understood; tar archives are")),
        _ => Box::new(file),
    })
}

/// A name of the archive as a relative path without its first `strip` folders; `None` when nothing is left.
fn inner(material: &Material, name: &[u8], strip: usize) -> Result<Option<Utf8PathBuf>, HostError> {
    let text = std::str::from_utf8(name).map_err(|_| broken(material, &"it holds a name that is not UTF-8"))?;
    let mut path = Utf8PathBuf::new();
    for part in Utf8Path::new(text).components() {
        match part {
            Utf8Component::Normal(name) => path.push(name),
            Utf8Component::CurDir => {}
            _ => return Err(escapes(material, text)),
        }
    }
    let path: Utf8PathBuf = path.components().skip(strip).collect();
    Ok((!path.as_str().is_empty()).then_some(path))
}

fn escapes(material: &Material, name: &str) -> HostError {
    let text = format!("`{name}` in {} leads out of the folder that it is unpacked into", material.name);
    HostError::new("archive.escapes", text)
}

/// Unpacks an archive into the folder `to` of the image.
///
/// # Errors
/// `archive.broken`, `archive.escapes`, `usage.option`, `permission.denied`.
pub fn unpack(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    material: &Material,
    to: &str,
    options: Map,
) -> Result<(), HostError> {
    let options: ExtractOptions = options::read(ctx.fn_name(), options)?;
    let strip = usize::try_from(options.strip)
        .map_err(|_| HostError::usage("option", format!("`strip` of {} makes no sense", options.strip)))?;
    let destination = image.need_write(ctx, to, true)?;
    image.record(ctx, vec![material.name.as_str().into(), to.into()])?;
    image.target().make_dir(&destination, Attributes::default())?;
    if material.pretended {
        return Ok(());
    }
    let mut archive = tar::Archive::new(open(material)?);
    let mut found = false;
    for entry in archive.entries().map_err(|error| broken(material, &error))? {
        let mut entry = entry.map_err(|error| broken(material, &error))?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            continue;
        }
        found = true;
        let name = entry.path_bytes().into_owned();
        let Some(inner) = inner(material, &name, strip)? else { continue };
        // Judged as the tree is now: an earlier entry may have been a link.
        let at = image.need_write(ctx, destination.join(&inner).as_str(), kind.is_dir())?;
        if !at.starts_with(&destination) {
            return Err(escapes(material, inner.as_str()));
        }
        let attributes = attributes(&entry, &options).map_err(|error| broken(material, &error))?;
        one(image, material, &mut entry, Place { at: &at, destination: &destination, strip }, attributes)?;
    }
    if found { Ok(()) } else { Err(broken(material, &"it is no tar archive, or an empty one")) }
}

/// Where an entry goes.
struct Place<'a> {
    at: &'a Utf8Path,
    destination: &'a Utf8Path,
    strip: usize,
}

fn one<R: Read>(
    image: &Image,
    material: &Material,
    entry: &mut tar::Entry<'_, R>,
    place: Place<'_>,
    attributes: Attributes,
) -> Result<(), HostError> {
    let target = image.target();
    let link = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
    match entry.header().entry_type() {
        EntryType::Directory => Ok(target.make_dir(place.at, attributes)?),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            Ok(target.write_stream(place.at, entry, attributes)?)
        }
        EntryType::Symlink => {
            let to = String::from_utf8(link).map_err(|_| broken(material, &"it holds a link that is not UTF-8"))?;
            Ok(target.symlink(Utf8Path::new(&to), place.at)?)
        }
        EntryType::Link => {
            let other = inner(material, &link, place.strip)?.unwrap_or_default();
            let real = target.resolve(&place.destination.join(&other), true)?;
            if !real.starts_with(place.destination) {
                return Err(escapes(material, other.as_str()));
            }
            // A second name for a file becomes a second file: an image's file systems may part them.
            Ok(target.write(place.at, &target.read(&real)?, attributes)?)
        }
        _ => Err(broken(material, &format!("`{}` is a device or a pipe", place.at))),
    }
}

fn attributes<R: Read>(entry: &tar::Entry<'_, R>, options: &ExtractOptions) -> std::io::Result<Attributes> {
    let header = entry.header();
    let kept = |number: u64| options.keep_owner.then(|| number.to_string());
    Ok(Attributes {
        mode: Some(header.mode()? & 0o7777),
        owner: options.owner.clone().or(kept(header.uid()?)).or_else(|| Some("root".into())),
        group: options.group.clone().or(kept(header.gid()?)).or_else(|| Some("root".into())),
    })
}

fn of_element(image: &Image, from: &str) -> Result<Material, HostError> {
    Ok(Material { file: jail::inside(&image.element().directory, from)?, name: from.to_owned(), pretended: false })
}

/// Archives.
#[export_module]
pub mod verbs {
    /// Unpacks an archive of the element into the folder `path`, which is made if need be.
    #[rhai_fn(return_raw)]
    pub fn extract(ctx: NativeCallContext<'_>, image: &mut Image, from: &str, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(unpack(&ctx, image, &of_element(image, from)?, path, Map::new())?)
    }

    /// As above, with `#{strip, owner, group, keep_owner}`.
    #[rhai_fn(name = "extract", return_raw)]
    pub fn extract_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: &str,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(unpack(&ctx, image, &of_element(image, from)?, path, options)?)
    }

    /// Unpacks an archive that was fetched.
    #[rhai_fn(name = "extract", return_raw)]
    pub fn extract_download(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: Material,
        path: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(unpack(&ctx, image, &from, path, Map::new())?)
    }

    /// As above, with `#{strip, owner, group, keep_owner}`.
    #[rhai_fn(name = "extract", return_raw)]
    pub fn extract_download_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: Material,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(unpack(&ctx, image, &from, path, options)?)
    }
}
