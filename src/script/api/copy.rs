//! Bringing files of the element into the image. Needs `write:` with a prefix of the destination.

use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use rhai::Map;
use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::jail;
use super::options;
use crate::target::Attributes;
use crate::target::outside::Material;

fn copy(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    from: &str,
    to: &str,
    attributes: &Attributes,
) -> Result<(), HostError> {
    folder(ctx, image, from, &jail::inside(&image.element().directory, from)?, to, attributes)
}

/// Copies `source`, which the script calls `from`, with all that is in it.
pub fn folder(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    from: &str,
    source: &Utf8Path,
    to: &str,
    attributes: &Attributes,
) -> Result<(), HostError> {
    let real = image.need_write(ctx, to, false)?;
    image.record(ctx, vec![from.into(), to.into()])?;
    for entry in walkdir::WalkDir::new(source).sort_by_file_name() {
        let entry =
            entry.map_err(|error| HostError::new("element.not-found", format!("cannot copy `{from}`: {error}")))?;
        let path = Utf8PathBuf::try_from(entry.path().to_owned())
            .map_err(|error| HostError::new("element.not-found", format!("cannot copy `{from}`: {error}")))?;
        let below = path.strip_prefix(source).unwrap_or(Utf8Path::new(""));
        let at = if below.as_str().is_empty() { real.clone() } else { real.join(below) };
        // A folder in the image may be a symlink that leads out of what was granted.
        let at = if entry.file_type().is_dir() {
            image.need_write(ctx, at.as_str(), true)?
        } else {
            image.need_write(ctx, at.as_str(), false)?
        };
        one(image, &path, &at, attributes)?;
    }
    Ok(())
}

/// Copies what is at `path`, without what is in it. A symlink stays a symlink: it is read in the image.
fn one(image: &Image, path: &Utf8Path, at: &Utf8Path, attributes: &Attributes) -> Result<(), HostError> {
    let fail = |error: std::io::Error| HostError::new("element.not-found", format!("cannot read {path}: {error}"));
    let metadata = path.symlink_metadata().map_err(fail)?;
    let target = image.target();
    if metadata.is_symlink() {
        return Ok(target.symlink(&path.read_link_utf8().map_err(fail)?, at)?);
    }
    // Of the host's bits only "may be run" means something: a checkout's others are its user's mask.
    let run = metadata.is_dir() || metadata.permissions().mode() & 0o111 != 0;
    let attributes = if metadata.is_dir() {
        // An option is about the files; a folder of mode 0644 cannot be entered.
        Attributes { mode: Some(0o755), ..attributes.clone() }
    } else {
        Attributes { mode: attributes.mode.or(Some(if run { 0o755 } else { 0o644 })), ..attributes.clone() }
    };
    if metadata.is_dir() {
        let there = target.stat(at)?.is_some();
        let attributes = if there { Attributes::default() } else { attributes };
        return Ok(target.make_dir(at, attributes)?);
    }
    Ok(target.write(at, &std::fs::read(path).map_err(fail)?, attributes)?)
}

/// Brings a file that was fetched into the image. Mode 0644 unless `attributes` say otherwise.
fn fetched(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    from: &Material,
    to: &str,
    attributes: Attributes,
) -> Result<(), HostError> {
    let real = image.need_write(ctx, to, false)?;
    image.record(ctx, vec![from.name.as_str().into(), to.into()])?;
    let fail = |error: std::io::Error| HostError::new("fetch.failed", format!("cannot read {}: {error}", from.name));
    let mut file = std::fs::File::open(&from.file).map_err(fail)?;
    let attributes = Attributes { mode: attributes.mode.or(Some(0o644)), ..attributes };
    Ok(image.target().write_stream(&real, &mut file, attributes)?)
}

/// Copies.
#[export_module]
pub mod verbs {
    /// Copies a file or folder of the element into the image, as `path`. Files get mode 0644, or 0755 when the element's file
    /// may be run; a folder's content joins what is there.
    #[rhai_fn(return_raw)]
    pub fn copy_in(ctx: NativeCallContext<'_>, image: &mut Image, from: &str, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(copy(&ctx, image, from, path, &Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}` for every file.
    #[rhai_fn(name = "copy_in", return_raw)]
    pub fn copy_in_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: &str,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(copy(&ctx, image, from, path, &options::attributes(ctx.fn_name(), options)?)?)
    }

    /// Brings a file that was fetched into the image, with mode 0644.
    #[rhai_fn(name = "copy_in", return_raw)]
    pub fn copy_in_download(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: Material,
        path: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(fetched(&ctx, image, &from, path, Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}`.
    #[rhai_fn(name = "copy_in", return_raw)]
    pub fn copy_in_download_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: Material,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(fetched(&ctx, image, &from, path, options::attributes(ctx.fn_name(), options)?)?)
    }
}
