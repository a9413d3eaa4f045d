//! An archive or a single file, through the cache into the image.
//!
//! In: a location, which the tool `cache-url` of the elements fetches; for an archive the folder in it that is wanted. Out: its
//! content in the image, with the archive's modes, owners and time stamps; or the file. Not here: repositories.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::super::copy::{self, Keep};
use super::super::{PlumbingError, Site};
use super::cache::Cache;
use super::line::Source;
use crate::target::tree::Tree;
use crate::target::{FileKind, Target};

/// `cache-url` for what a server does not have.
const NOT_FOUND: i32 = 44;

/// Unpacks the archive to `at`: all of it for `.`, what is in each of its folders for `*`, else what is in the named one.
pub fn unpack(
    site: &Site<'_>,
    tree: &Tree,
    cache: &Cache,
    source: &Source,
    at: &Utf8Path,
) -> Result<(), PlumbingError> {
    let cached = download(site, cache, source, "tarball")?;
    let folder = tempfile::Builder::new().prefix(".unpack-").tempdir_in(cache.folder());
    let folder = folder.map_err(PlumbingError::host("make a folder in", cache.folder()))?;
    let unpacked = Utf8PathBuf::try_from(folder.path().to_owned())
        .map_err(|error| PlumbingError::wrong(format!("the cache's path {:?} is not UTF-8", error.as_path())))?;
    let words = ["tar", "--numeric-owner", "-C", unpacked.as_str(), "-xf", cached.as_str()];
    site.command(words).check(site.events)?;
    for wanted in wanted(site, source, &unpacked)? {
        copy::folder(tree, &wanted, at, Keep::All, site.events, |_, _| false)?;
    }
    Ok(())
}

/// The folders below `unpacked` that the reference means. A link in the archive must not make it mean a folder of the host.
fn wanted(site: &Site<'_>, source: &Source, unpacked: &Utf8Path) -> Result<Vec<Utf8PathBuf>, PlumbingError> {
    const EXPAND: &str = "cd \"$1\" && shopt -s nullglob && for folder in ./$2/.; do [ -d \"$folder\" ] && printf '%s\\0' \"$folder\"; done; :";
    let words = ["bash", "-c", EXPAND, "source-repositories", unpacked.as_str(), &source.reference];
    let output = site.command(words).quiet().check(site.events)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let real = unpacked.canonicalize_utf8().map_err(PlumbingError::host("read", unpacked))?;
    let mut folders = Vec::new();
    for name in text.split('\0').filter(|name| !name.is_empty()) {
        let path = unpacked.join(name);
        let path = path.canonicalize_utf8().map_err(PlumbingError::host("read", &*path))?;
        if path.starts_with(&real) {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        return Err(PlumbingError::wrong(format!(
            "the archive {} of {} has no folder `{}`; `.` takes all of it",
            source.location, source.name, source.reference
        )));
    }
    Ok(folders)
}

/// Copies the file to `at`.
pub fn copy(site: &Site<'_>, tree: &Tree, cache: &Cache, source: &Source, at: &Utf8Path) -> Result<(), PlumbingError> {
    let cached = download(site, cache, source, "file")?;
    if tree.stat(&tree.resolve(at, true)?)?.is_some_and(|stat| stat.kind == FileKind::Directory) {
        return Err(PlumbingError::wrong(format!(
            "the file {} cannot become {at}, which is a folder of the image; name the file in it",
            source.name
        )));
    }
    let metadata = fs::metadata(&cached).map_err(PlumbingError::host("read", &*cached))?;
    copy::one(tree, &cached, &metadata, at, Keep::Mode, site.events)
}

/// The source in the cache: fetched when it is not there, looked after when it is; offline, as it is.
fn download(site: &Site<'_>, cache: &Cache, source: &Source, what: &str) -> Result<Utf8PathBuf, PlumbingError> {
    let cached = cache.place(source, site)?;
    let (name, location) = (&source.name, &source.location);
    site.events.output(format!("Caching {name} {what} from {location} in {cached}"));
    if site.offline {
        return if cached.is_file() {
            Ok(cached)
        } else {
            Err(PlumbingError::wrong(format!(
                "{name} from {location} is not in the cache at {cached}, and the build is offline; build it once online"
            )))
        };
    }
    let tool = site.hooks.join("bin/cache-url");
    if !tool.is_file() {
        return Err(PlumbingError::wrong(
            "bin/cache-url is missing among the hooks; let the element depend on `cache-url`, which brings it",
        ));
    }
    let output = site.command([tool.as_str(), location, cached.as_str()]).run(site.events)?;
    match output.status {
        0 => Ok(cached),
        NOT_FOUND => Err(PlumbingError::wrong(format!("{name}: there is nothing at {location} (404)"))),
        status => Err(PlumbingError::wrong(format!(
            "{name} cannot be fetched from {location} (status {status} of cache-url): see the lines above"
        ))),
    }
}
