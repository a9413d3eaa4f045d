//! `source-repositories`: sources that elements name go into the image.
//!
//! In: the files `source-repository-*` of the hooks folder ([`mod@line`]), `DIB_*` variables that override them, a cache below
//! `DIB_IMAGE_CACHE` ([`cache`]). Out: working copies ([`git`]), unpacked archives and files ([`archive`]) in the image, their paths in
//! `/etc/dib-source-repositories`, and a manifest of the commits. Offline, the cache is all there is.

mod archive;
mod cache;
mod git;
mod line;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};

use self::cache::Cache;
use self::line::Source;
use super::install_bin::names;
use super::{PlumbingError, Site, inside};
use crate::target::tree::Tree;
use crate::target::{Attributes, Target};

/// Where the paths of all sources are listed in the image.
const LIST: &str = "/etc/dib-source-repositories";

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    if site.variable("NO_SOURCE_REPOSITORIES").is_some() {
        return Ok(());
    }
    let files: Vec<Utf8PathBuf> = names(site.hooks)?
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name.starts_with("source-repository-") && !name.ends_with('~') && path.is_file()
        })
        .collect();
    let (tree, cache) = (site.tree()?, Cache::open(site)?);
    let mut commits = String::new();
    for file in files {
        let _locked = cache.lock(site, &file)?;
        let lines = line::read(site, &file)?;
        for (index, line) in lines.iter().enumerate() {
            site.events.output(format!("({:04} / {:04})", index + 1, lines.len()));
            let Some(source) = Source::parse(line, site)? else { continue };
            let path = fetch(site, &tree, &cache, &source)?;
            let Some(commit) = path else { continue };
            if let Some(commit) = commit {
                commits.push_str(&commit);
            }
            append(&tree, Utf8Path::new(LIST), &format!("{}\n", source.path))?;
        }
    }
    if !commits.is_empty() {
        let path = site.manifest_folder().join(format!("dib-manifest-git-{}", site.image_name));
        tree.write(&path, commits.as_bytes(), Attributes::default())?;
    }
    Ok(())
}

/// Brings one source into the image. Nothing when there was nothing to bring; else, when a working copy was made, its line of the
/// manifest.
fn fetch(
    site: &Site<'_>,
    tree: &Tree,
    cache: &Cache,
    source: &Source,
) -> Result<Option<Option<String>>, PlumbingError> {
    if !source.is_wanted(site) {
        site.events.output(format!("{} install type not set to source", source.name));
        return Ok(None);
    }
    if source.kind == "package" {
        site.events.output(format!("{} is installed from packages", source.name));
        return Ok(None);
    }
    if source.path.is_empty() || source.location.is_empty() {
        return Err(PlumbingError::wrong(format!(
            "the source repository {} lacks a path in the image or a location; write NAME TYPE /PATH LOCATION [REF]",
            source.name
        )));
    }
    let at = inside(&source.path);
    match source.kind.as_str() {
        "git" => git::fetch(site, tree, cache, source, &at).map(Some),
        "tar" => archive::unpack(site, tree, cache, source, &at).map(|()| Some(None)),
        "file" => archive::copy(site, tree, cache, source, &at).map(|()| Some(None)),
        other => Err(PlumbingError::wrong(format!(
            "Unsupported repository type: {other} (of {}); use git, tar, file or package",
            source.name
        ))),
    }
}

fn append(tree: &Tree, path: &Utf8Path, line: &str) -> Result<(), PlumbingError> {
    let mut text = match tree.read(path) {
        Err(error) if error.code == "io.not-found" => Vec::new(),
        other => other?,
    };
    text.extend_from_slice(line.as_bytes());
    Ok(tree.write(path, &text, Attributes::default())?)
}
