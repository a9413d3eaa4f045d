//! Files of the machine that builds. Needs `read-host:` with a prefix of the file's real path.

use camino::{Utf8Path, Utf8PathBuf};
use rhai::Map;
use rhai::plugin::*;

use super::super::engine;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::{self, Permission};
use super::{copy, options};
use crate::target::Attributes;

/// The grant with its symlinks followed, for comparing with real paths.
fn real(grant: &str) -> Option<Permission> {
    match permission::parse(grant).ok()? {
        Permission::ReadHost(path) => Some(Permission::ReadHost(path.canonicalize_utf8().unwrap_or(path))),
        _ => None,
    }
}

fn open(ctx: &NativeCallContext<'_>, image: &Image, path: &str) -> Result<Utf8PathBuf, HostError> {
    crate::target::resolve::check(Utf8Path::new(path))?;
    // Without leave even "not found" would tell something: the answer for what is missing is judged by its name.
    let file = Utf8Path::new(path).canonicalize_utf8();
    let named = Permission::ReadHost(crate::target::resolve::resolve(Utf8Path::new(path), true, |_| Ok(None))?);
    let need = file.as_ref().map_or(named, |file| Permission::ReadHost(file.clone()));
    let granted = image.element().permissions.iter().filter_map(|grant| real(grant)).any(|grant| grant.covers(&need));
    if !granted {
        image.need(ctx, &need)?;
    }
    file.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { "io.not-found" } else { "io.failed" };
        HostError::new(code, format!("cannot read {path} of the host: {error}"))
    })
}

/// The host.
#[export_module]
pub mod verbs {
    /// Text of a file of the machine that builds.
    #[rhai_fn(return_raw)]
    pub fn read_host_file(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<String> {
        let _running = image.enter(&ctx);
        let file = open(&ctx, image, path)?;
        image.record(&ctx, vec![path.into()])?;
        let fail =
            |error: std::io::Error| HostError::new("io.failed", format!("cannot read {path} of the host: {error}"));
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() || metadata.len() > engine::STRING as u64 {
            return Err(HostError::new("io.failed", format!("{path} of the host is no file of at most 16 MiB")).into());
        }
        String::from_utf8(std::fs::read(&file).map_err(fail)?)
            .map_err(|_| HostError::new("io.not-text", format!("{path} of the host is not UTF-8 text")).into())
    }

    /// Copies a file or folder of the machine that builds into the image, as `copy_in` does.
    #[rhai_fn(return_raw)]
    pub fn copy_from_host(ctx: NativeCallContext<'_>, image: &mut Image, from: &str, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let source = open(&ctx, image, from)?;
        Ok(copy::folder(&ctx, image, from, &source, path, &Attributes::default())?)
    }

    /// As above, with `#{mode, owner, group}` for every file.
    #[rhai_fn(name = "copy_from_host", return_raw)]
    pub fn copy_from_host_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        from: &str,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let attributes = options::attributes(ctx.fn_name(), options)?;
        let source = open(&ctx, image, from)?;
        Ok(copy::folder(&ctx, image, from, &source, path, &attributes)?)
    }
}
