//! Making and removing files, folders and links. Needs `write:` with a prefix of the path.

use camino::Utf8Path;
use rhai::Map;
use rhai::plugin::*;

use super::super::effect;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::{options, reading};
use crate::target::Attributes;

fn write(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    path: &str,
    text: &str,
    attributes: Attributes,
) -> Result<(), HostError> {
    let real = image.need_write(ctx, path, false)?;
    image.record(ctx, vec![path.into(), effect::text(text)])?;
    Ok(image.target().write(&real, text.as_bytes(), attributes)?)
}

fn append(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    path: &str,
    text: &str,
    attributes: Attributes,
) -> Result<(), HostError> {
    let real = image.need_write(ctx, path, true)?;
    image.record(ctx, vec![path.into(), effect::text(text)])?;
    let mut all = match image.target().read(&real) {
        Err(error) if error.code == "io.not-found" => Vec::new(),
        other => other?,
    };
    all.extend_from_slice(text.as_bytes());
    Ok(image.target().write(&real, &all, attributes)?)
}

fn folder(ctx: &NativeCallContext<'_>, image: &Image, path: &str, attributes: Attributes) -> Result<(), HostError> {
    let real = image.need_write(ctx, path, true)?;
    image.record(ctx, vec![path.into()])?;
    Ok(image.target().make_dir(&real, attributes)?)
}

fn set(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    path: &str,
    args: &[&str],
    attributes: Attributes,
) -> Result<(), HostError> {
    let real = image.need_write(ctx, path, true)?;
    image.record(ctx, std::iter::once(path).chain(args.iter().copied()).map(Into::into).collect())?;
    Ok(image.target().set_attributes(&real, attributes)?)
}

/// Files.
#[export_module]
pub mod verbs {
    /// Replaces the file at `path`, making missing folders. A symlink at `path` is replaced, not followed.
    #[rhai_fn(return_raw)]
    pub fn write_file(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, text: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(write(&ctx, image, path, text, Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}`.
    #[rhai_fn(name = "write_file", return_raw)]
    pub fn write_file_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        path: &str,
        text: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(write(&ctx, image, path, text, options::attributes(ctx.fn_name(), options)?)?)
    }

    /// Adds text at the end of the file at `path`; makes it when it is missing. A symlink is followed.
    #[rhai_fn(return_raw)]
    pub fn append_to_file(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, text: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(append(&ctx, image, path, text, Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}`.
    #[rhai_fn(name = "append_to_file", return_raw)]
    pub fn append_to_file_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        path: &str,
        text: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(append(&ctx, image, path, text, options::attributes(ctx.fn_name(), options)?)?)
    }

    /// Makes the folder at `path` and its missing parents.
    #[rhai_fn(return_raw)]
    pub fn make_dir(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(folder(&ctx, image, path, Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}`, also when it exists.
    #[rhai_fn(name = "make_dir", return_raw)]
    pub fn make_dir_with(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, options: Map) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(folder(&ctx, image, path, options::attributes(ctx.fn_name(), options)?)?)
    }

    /// Makes (or replaces) a symlink at `path` that reads `points_to`.
    #[rhai_fn(return_raw)]
    pub fn symlink(ctx: NativeCallContext<'_>, image: &mut Image, points_to: &str, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        if points_to.is_empty() || points_to.contains('\0') {
            return Err(HostError::usage("path", "a symlink cannot point to nothing").into());
        }
        let real = image.need_write(&ctx, path, false)?;
        image.record(&ctx, vec![points_to.into(), path.into()])?;
        Ok(image.target().symlink(Utf8Path::new(points_to), &real).map_err(HostError::from)?)
    }

    /// Removes a file, a symlink or a whole folder; nothing there is no error.
    #[rhai_fn(return_raw)]
    pub fn remove(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let real = image.need_write(&ctx, path, false)?;
        image.record(&ctx, vec![path.into()])?;
        Ok(image.target().remove(&real).map_err(HostError::from)?)
    }

    /// Sets the permission bits: `image.chmod("/etc/x", 0o600)`. A symlink is followed.
    #[rhai_fn(return_raw)]
    pub fn chmod(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, mode: i64) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let mode = options::mode(mode)?;
        let attributes = Attributes { mode: Some(mode), ..Attributes::default() };
        Ok(set(&ctx, image, path, &[&format!("{mode:04o}")], attributes)?)
    }

    /// Sets the owner, by name in the image. A symlink is followed.
    #[rhai_fn(return_raw)]
    pub fn chown(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, owner: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let attributes = Attributes { owner: Some(owner.to_owned()), ..Attributes::default() };
        Ok(set(&ctx, image, path, &[owner], attributes)?)
    }

    /// Sets owner and group, by name in the image. A symlink is followed.
    #[rhai_fn(name = "chown", return_raw)]
    pub fn chown_with_group(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        path: &str,
        owner: &str,
        group: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let (user, of) = (Some(owner.to_owned()), Some(group.to_owned()));
        Ok(set(&ctx, image, path, &[owner, group], Attributes { mode: None, owner: user, group: of })?)
    }
}

/// Replaces text of the file at a real path when it differs.
pub fn change(image: &Image, real: &Utf8Path, edit: impl FnOnce(&str) -> String) -> Result<(), HostError> {
    let before = reading::text(image, real)?;
    let after = edit(&before);
    if after != before {
        image.target().write(real, after.as_bytes(), Attributes::default())?;
    }
    Ok(())
}
