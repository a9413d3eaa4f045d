//! A git repository, through the cache into the image.
//!
//! In: a location and a revision. Out: a clone of the cached clone, at that revision. Only the copy in the cache talks to the
//! network. `*` as the revision means every branch and tag. Repositories that are already in the image are read, never run:
//! nothing of their configuration is obeyed.

use std::fs;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::super::{PlumbingError, Site};
use super::cache::Cache;
use super::line::Source;
use crate::element::secret;
use crate::sandbox::command::Command;
use crate::target::tree::Tree;
use crate::target::{Attributes, FileKind, Target};

const ATTEMPTS: u32 = 5;
/// Between two attempts.
const PAUSE: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(5) };
const ALL_HEADS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// Makes the working copy at `at`. The line of the manifest, unless the copy was there already.
pub fn fetch(
    site: &Site<'_>,
    tree: &Tree,
    cache: &Cache,
    source: &Source,
    at: &Utf8Path,
) -> Result<Option<String>, PlumbingError> {
    let source = relocated(site, source);
    let cached = cache.place(&source, site)?;
    clone_to_cache(site, &source, &cached)?;
    update_cache(site, &source, &cached)?;
    let (name, reference) = (&source.name, &source.reference);
    site.events.output(format!("Cloning from {name} cache and applying ref {reference}"));
    let at = tree.resolve(at, true)?;
    if tree.stat(&at)?.is_some_and(|stat| stat.kind == FileKind::Directory) {
        check_existing(site, tree, &source, &at, &cached)?;
        return Ok(None);
    }
    let commit = clone_to_image(site, tree, &source, &at, &cached)?;
    let location = secret::shown("", &source.location);
    Ok(Some(format!("{name} git {} {location} {commit}\n", source.path)))
}

/// The source below `DIB_GITREPOBASE`, when that is set and the user gave no location.
fn relocated(site: &Site<'_>, source: &Source) -> Source {
    static BEGINNING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[^:]+://[^/]+/(?:~[^/]+)?(.*)$").ok());
    let (Some(base), false) = (site.variable("DIB_GITREPOBASE"), source.location_is_overridden) else {
        return source.clone();
    };
    let end = BEGINNING.as_ref().and_then(|beginning| beginning.captures(&source.location)?.get(1));
    let location = end.map_or_else(|| source.location.clone(), |end| format!("{base}{}", end.as_str()));
    site.events.output(format!("Transformed {} to {location}", source.location));
    Source { location, ..source.clone() }
}

/// A git that asks nobody for a password.
fn git(site: &Site<'_>, words: &[&str]) -> Command {
    site.command(["git"].iter().chain(words).copied()).env("GIT_TERMINAL_PROMPT", "0")
}

/// A git that works on the repository in `folder`, whoever owns it.
fn git_in(site: &Site<'_>, folder: &Utf8Path, words: &[&str]) -> Command {
    let mut all = vec!["-c", "safe.directory=*", "-C", folder.as_str()];
    all.extend(words);
    git(site, &all)
}

/// Tries `command` several times. `tidy` is called after each failure.
fn persistent(site: &Site<'_>, command: &Command, tidy: impl Fn()) -> Result<(), PlumbingError> {
    let mut attempt = 1;
    loop {
        match command.check(site.events) {
            Ok(_) => return Ok(()),
            Err(error) if attempt == ATTEMPTS => {
                return Err(PlumbingError::wrong(format!("The command failed after {ATTEMPTS} attempts: {error}")));
            }
            Err(_) => {
                site.events.output(format!("Attempt {attempt} failed. Trying again..."));
                tidy();
                thread::sleep(PAUSE);
                attempt += 1;
            }
        }
    }
}

fn clone_to_cache(site: &Site<'_>, source: &Source, cached: &Utf8Path) -> Result<(), PlumbingError> {
    let (name, location) = (&source.name, &source.location);
    if cached.exists() {
        return Ok(());
    }
    if site.offline {
        return Err(PlumbingError::wrong(format!(
            "{name} from {location} is not in the cache at {cached}, and the build is offline; build it once online"
        )));
    }
    site.events.output(format!("Caching {name} from {location} in {cached}"));
    let unfinished = Utf8PathBuf::from(format!("{cached}.tmp"));
    let tidy = || drop(fs::remove_dir_all(&unfinished));
    // An earlier build may have been killed.
    tidy();
    persistent(site, &git(site, &["clone", "-q", "--", location, unfinished.as_str()]), tidy)?;
    fs::rename(&unfinished, cached).map_err(PlumbingError::host("rename", &*unfinished))
}

/// The commit that the reference means in the cache.
fn found(site: &Site<'_>, source: &Source, cached: &Utf8Path) -> Result<bool, PlumbingError> {
    let commit = format!("{}^{{commit}}", source.reference);
    let words = ["rev-parse", "-q", "--verify", "--end-of-options", &commit];
    Ok(git_in(site, cached, &words).quiet().run(site.events)?.status == 0)
}

/// Brings the reference into the cache. A commit's id that is there means the same for ever; everything else is asked for anew.
fn update_cache(site: &Site<'_>, source: &Source, cached: &Utf8Path) -> Result<(), PlumbingError> {
    let (reference, location) = (&source.reference, &source.location);
    let every = reference == "*";
    let is_id = matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has = !every && found(site, source, cached)?;
    let missing = || {
        let hint = if site.offline { "; the build is offline: build it once online" } else { "" };
        PlumbingError::wrong(format!("Failed to find reference to {reference} in {location} ({}){hint}", source.name))
    };
    if (is_id && has) || (site.offline && (has || every)) {
        return Ok(());
    }
    if site.offline {
        return Err(missing());
    }
    site.events.output(format!("Updating cache of {location} in {cached} with ref {reference}"));
    let base = ["fetch", "-q", "--prune", "--update-head-ok", "--", location];
    // A reference may be outside of heads and tags; a server may give out a commit that no head leads to, or refuse to. The
    // branch that this makes of a commit's id keeps it in the cache, as in DIB.
    let one = format!("+{reference}:{reference}");
    let direct = !every && git_in(site, cached, &[&base[..], &[&one]].concat()).run(site.events)?.status == 0;
    if !direct {
        persistent(site, &git_in(site, cached, &[&base[..], &ALL_HEADS].concat()), || ())?;
    }
    if every || found(site, source, cached)? { Ok(()) } else { Err(missing()) }
}

/// The working copy at `at` of the image must be the one that was asked for.
fn check_existing(
    site: &Site<'_>,
    tree: &Tree,
    source: &Source,
    at: &Utf8Path,
    cached: &Utf8Path,
) -> Result<(), PlumbingError> {
    let config = tree.read(&at.join(".git/config")).unwrap_or_default();
    let words = ["config", "--no-includes", "--file", "-", "--get", "remote.origin.url"];
    let output = git(site, &words).stdin(config).quiet().run(site.events)?;
    let origin = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if origin != cached.as_str() {
        return Err(PlumbingError::wrong(format!(
            "REPOLOCATIONS don't match ({cached} != {origin}): {} wants {}, which is there already; choose another path",
            source.name, source.path
        )));
    }
    let branch = format!("fetch_{}", source.reference);
    let folder = format!("--git-dir={}", site.host_path(&at.join(".git")));
    let words = ["-c", "safe.directory=*", &folder, "rev-parse", "-q", "--verify", "--end-of-options", &branch];
    if source.reference != "*" && git(site, &words).quiet().run(site.events)?.status != 0 {
        return Err(PlumbingError::wrong(format!(
            "REPOREFS don't match - failed to get sha1 of {branch}: {} is there already with another revision",
            source.path
        )));
    }
    Ok(())
}

/// The commit of the new working copy.
fn clone_to_image(
    site: &Site<'_>,
    tree: &Tree,
    source: &Source,
    at: &Utf8Path,
    cached: &Utf8Path,
) -> Result<String, PlumbingError> {
    if let Some(parent) = at.parent() {
        tree.make_dir(parent, Attributes::default())?;
    }
    // `at` has no symlink in it, and nothing else runs in the tree now: the path means the same on the host.
    let folder = site.host_path(at);
    git(site, &["clone", "-q", "--", cached.as_str(), folder.as_str()]).check(site.events)?;
    let inside = |words: &[&str]| git_in(site, &folder, words);
    let head = if source.reference == "*" {
        let base = ["fetch", "-q", "--prune", "--update-head-ok", cached.as_str()];
        inside(&[&base[..], &ALL_HEADS].concat()).check(site.events)?;
        "HEAD"
    } else {
        let branch = format!("{0}:fetch_{0}", source.reference);
        inside(&["fetch", "-q", cached.as_str(), &branch]).check(site.events)?;
        inside(&["reset", "--hard", "FETCH_HEAD"]).check(site.events)?;
        "FETCH_HEAD"
    };
    let output = inside(&["rev-parse", head]).quiet().check(site.events)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
