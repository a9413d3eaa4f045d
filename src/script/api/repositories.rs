//! Package repositories and their keys. Needs `packages`.

use camino::Utf8Path;
use rhai::Map;
use rhai::plugin::*;
use serde::Deserialize;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::options;
use crate::target::outside::Material;
use crate::target::repository::{self, Entry, Manager, Repository};
use crate::target::{Attributes, Run, Target};

/// Bytes of a key; a keyring of a distribution has some ten thousand.
const KEY: u64 = 4 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RepositoryOptions {
    url: String,
    suite: String,
    components: Vec<String>,
    key: Option<String>,
    unsigned: bool,
}

/// Whose files name repositories in this image.
fn manager(image: &Image) -> Result<Manager, HostError> {
    let target = image.target();
    for (path, manager) in Manager::MARKS {
        if target.stat(&target.resolve(Utf8Path::new(path), true)?)?.is_some() {
            return Ok(manager);
        }
    }
    let world = image.world();
    let facts = &world.facts;
    Manager::of_family(&facts.family, &facts.distribution).ok_or_else(|| {
        let text = format!("kiln does not know how {} names repositories", facts.distribution);
        HostError::new("packages.unsupported", text)
    })
}

fn check_name(name: &str) -> Result<(), HostError> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(good) {
        return Err(HostError::usage("repository", format!("`{name}` is no name: take letters, digits, `-` and `_`")));
    }
    Ok(())
}

/// A text that becomes part of a line.
fn one_line(what: &str, text: &str) -> Result<(), HostError> {
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(HostError::usage("option", format!("the {what} {text:?} holds a blank or a line feed")));
    }
    Ok(())
}

fn add(ctx: &NativeCallContext<'_>, image: &Image, name: &str, options: Map) -> Result<(), HostError> {
    let options: RepositoryOptions = options::read(ctx.fn_name(), options)?;
    check_name(name)?;
    one_line("url", &options.url)?;
    one_line("suite", &options.suite)?;
    options.components.iter().try_for_each(|component| one_line("component", component))?;
    options.key.iter().try_for_each(|key| check_name(key))?;
    if !options.url.contains(':') {
        return Err(HostError::usage("option", format!("a repository needs its `url`, not {:?}", options.url)));
    }
    image.need(ctx, &Permission::Packages)?;
    image.record(ctx, vec![name.into(), options.url.as_str().into()])?;
    let (target, manager) = (image.target(), manager(image)?);
    let suite = match options.suite.as_str() {
        "" if manager == Manager::Apt => image.world().facts.release.clone(),
        suite => suite.to_owned(),
    };
    let RepositoryOptions { url, components, key, unsigned, .. } = options;
    let key_path = key.as_deref().map(|key| key_path(target, manager, key)).transpose()?;
    // A flat repository has no components; the others' usual one is `main`.
    let components = if components.is_empty() && !suite.ends_with('/') { vec!["main".to_owned()] } else { components };
    let repository = Repository { name: name.to_owned(), url, suite, components, key, unsigned };
    match manager.entry(&repository, key_path.as_deref()) {
        Entry::File { path, text } => target.write(Utf8Path::new(&path), text.as_bytes(), Attributes::default())?,
        Entry::Block { path, text } => {
            let real = target.resolve(Utf8Path::new(&path), true)?;
            let before = match target.read(&real) {
                Err(error) if error.code == "io.not-found" => Vec::new(),
                other => other?,
            };
            let text = repository::with_block(&String::from_utf8_lossy(&before), name, &text);
            target.write(&real, text.as_bytes(), Attributes::default())?;
        }
    }
    target.packages().repositories_changed();
    Ok(())
}

/// Where the key of this name is.
fn key_path(target: &dyn Target, manager: Manager, name: &str) -> Result<String, HostError> {
    for armoured in [true, false] {
        let path = manager.key_path(name, armoured);
        if target.stat(Utf8Path::new(&path))?.is_some() {
            return Ok(path);
        }
    }
    let error = HostError::new("packages.key", format!("the image has no signing key `{name}`"));
    Err(error.help(format!("add it first: `image.add_signing_key(\"{name}\", …)`")))
}

fn add_key(ctx: &NativeCallContext<'_>, image: &Image, name: &str, key: &[u8]) -> Result<(), HostError> {
    check_name(name)?;
    image.need(ctx, &Permission::Packages)?;
    image.record(ctx, vec![name.into()])?;
    let (target, manager) = (image.target(), manager(image)?);
    let armoured = key.trim_ascii_start().starts_with(b"-----BEGIN");
    let path = manager.key_path(name, armoured);
    target.write(Utf8Path::new(&path), key, Attributes::default())?;
    for argv in manager.trust(name, &path) {
        let line = argv.join(" ");
        let output = target.run(&Run { argv, ..Run::default() })?;
        if output.status != 0 {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(HostError::new(
                "packages.key",
                format!("`{line}` ended with status {}: {said}", output.status),
            ));
        }
    }
    Ok(())
}

/// Repositories.
#[export_module]
pub mod verbs {
    /// Adds a package repository: `#{url, key}`, for apt also `suite` (the image's release when absent) and `components`.
    /// `key` names a key added before; `unsigned: true` takes packages that nobody signed. The same name again replaces it.
    #[rhai_fn(return_raw)]
    pub fn add_repository(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, options: Map) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(add(&ctx, image, name, options)?)
    }

    /// Adds a key that signs packages or repositories, as text: `-----BEGIN PGP PUBLIC KEY BLOCK-----…`; for apk
    /// `-----BEGIN PUBLIC KEY-----…`.
    #[rhai_fn(return_raw)]
    pub fn add_signing_key(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, key: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        if !key.trim_start().starts_with("-----BEGIN") {
            let error =
                HostError::usage("key", format!("the signing key `{name}` is no text that begins with `-----BEGIN`"));
            return Err(error
                .help("a key in binary form is fetched: `add_signing_key(name, image.fetch(url, sha256))`")
                .into());
        }
        Ok(add_key(&ctx, image, name, key.as_bytes())?)
    }

    /// Adds a key that was fetched.
    #[rhai_fn(name = "add_signing_key", return_raw)]
    pub fn add_signing_key_fetched(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        key: Material,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let fail = |error: std::io::Error| HostError::new("packages.key", format!("cannot read {}: {error}", key.name));
        if std::fs::metadata(&key.file).map_err(fail)?.len() > KEY {
            return Err(HostError::new("packages.key", format!("{} is too large for a key", key.name)).into());
        }
        Ok(add_key(&ctx, image, name, &std::fs::read(&key.file).map_err(fail)?)?)
    }
}
