//! The folder of a draft.
//!
//! In: an element's folder. Out: the draft's folder, complete or not at all, and what became of every file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use super::kept::Kept;
use super::manifest::{self, Manifest};
use super::report::{FileReport, HookReport, Report};
use super::{PortError, environment, hook};
use crate::element::hooks::is_hook_name;
use crate::element::{Element, manifest::dib};
use crate::plan::Phase;

/// Writes a draft of the element `name` in `folder` to `output`, which must not exist.
///
/// # Errors
/// A file cannot be read or written, or there is a draft already.
pub fn port(name: &str, folder: &Utf8Path, output: &Utf8Path) -> Result<Report, PortError> {
    if folder.join("element.rhai").exists() {
        return Err(PortError::Rhai { path: folder.into() });
    }
    if output.symlink_metadata().is_ok() {
        return Err(PortError::Exists { path: output.into() });
    }
    let write = |source| PortError::Write { path: output.into(), source };
    let parent = output.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(parent).map_err(write)?;
    let unfinished = tempfile::Builder::new().prefix(".kiln-port-").tempdir_in(parent).map_err(write)?;
    let inside = Utf8PathBuf::try_from(unfinished.path().join(name))
        .map_err(|error| PortError::Name { path: error.into_path_buf().display().to_string() })?;
    fs::create_dir(&inside).map_err(write)?;
    let report = write_draft(name, folder, &inside, output)?;
    Element::load(name, &inside)
        .map_err(|error| PortError::Draft { path: output.into(), problem: error.to_string() })?;
    fs::rename(&inside, output).map_err(write)?;
    Ok(report)
}

/// Paths of all files of the element, links to folders among them.
fn files(folder: &Utf8Path) -> Result<BTreeSet<String>, PortError> {
    let mut found = BTreeSet::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let read = |error: walkdir::Error| PortError::Read { path: folder.into(), source: error.into() };
        let entry = entry.map_err(read)?;
        if !entry.file_type().is_dir() {
            let path = Utf8Path::from_path(entry.path())
                .ok_or_else(|| PortError::Name { path: entry.path().display().to_string() })?;
            found.insert(path.strip_prefix(folder).unwrap_or(path).to_string());
        }
    }
    Ok(found)
}

/// The phase whose hook the file at `path` is.
fn phase_of(folder: &Utf8Path, path: &str) -> Option<Phase> {
    let (directory, name) = path.split_once('/')?;
    let phase = Phase::ALL.into_iter().find(|phase| phase.directory() == directory)?;
    let metadata = folder.join(path).metadata().ok()?;
    (is_hook_name(name) && metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(phase)
}

fn write_draft(name: &str, folder: &Utf8Path, draft: &Utf8Path, output: &Utf8Path) -> Result<Report, PortError> {
    let all = files(folder)?;
    let mut report = Report {
        element: name.into(),
        draft: output.into(),
        hooks: Vec::new(),
        files: Vec::new(),
        permissions: Vec::new(),
    };
    let mut manifest = Manifest { summary: manifest::summary(name, readme(folder).as_deref()), ..Manifest::default() };
    let mut needs = BTreeSet::new();
    let declared = declared(folder, &all);
    for path in &all {
        let becomes = if let Some(phase) = phase_of(folder, path) {
            match translated(folder, path, phase, &all, &declared) {
                Ok((text, more, reads)) => {
                    needs.extend(more);
                    let becomes = format!("{path}.rhai");
                    put(draft, &becomes, &text)?;
                    report.hooks.push(HookReport { hook: path.clone(), translated: true, reasons: Vec::new(), reads });
                    becomes
                }
                Err(reasons) => {
                    report.hooks.push(HookReport { hook: path.clone(), translated: false, reasons, reads: Vec::new() });
                    path.clone()
                }
            }
        } else if in_manifest(folder, path, &mut manifest)? {
            "element.rhai".to_owned()
        } else {
            path.clone()
        };
        if becomes == *path {
            copy(folder, draft, path)?;
        }
        report.files.push(FileReport { path: path.clone(), becomes });
    }
    manifest.permissions = manifest::pruned(needs);
    report.permissions.clone_from(&manifest.permissions);
    put(draft, "element.rhai", &manifest.print())?;
    Ok(report)
}

/// Variables that the element's `environment.d` sets.
fn declared(folder: &Utf8Path, all: &BTreeSet<String>) -> BTreeSet<String> {
    let files = all.iter().filter(|path| path.starts_with("environment.d/"));
    let texts = files.filter_map(|path| fs::read_to_string(folder.join(path)).ok());
    texts.flat_map(|text| environment::exported(&text)).collect()
}

type Hook = (String, BTreeSet<String>, Vec<String>);

fn translated(
    folder: &Utf8Path,
    path: &str,
    phase: Phase,
    all: &BTreeSet<String>,
    declared: &BTreeSet<String>,
) -> Result<Hook, Vec<Kept>> {
    if all.contains(&format!("{path}.rhai")) {
        return Err(vec![Kept::new(format!("there is a {path}.rhai already"))]);
    }
    let bytes = fs::read(folder.join(path)).map_err(|error| vec![Kept::new(format!("cannot be read: {error}"))])?;
    let text = String::from_utf8(bytes).map_err(|_| vec![Kept::new("is no text")])?;
    let done = hook(path, phase, &text, all, declared)?;
    Ok((done.text, done.needs, done.reads.into_iter().collect()))
}

/// Takes what the manifest can say from the file at `path`.
fn in_manifest(folder: &Utf8Path, path: &str, manifest: &mut Manifest) -> Result<bool, PortError> {
    let names = |file: &str| {
        dib::names(folder, file).map(Option::unwrap_or_default).map_err(|error| PortError::Read {
            path: folder.join(file),
            source: std::io::Error::other(error.to_string()),
        })
    };
    match path {
        "element-deps" => manifest.depends = names(path)?,
        "element-provides" => manifest.provides = names(path)?,
        _ if path.starts_with("environment.d/") && path.matches('/').count() == 1 => {
            let text = fs::read_to_string(folder.join(path))
                .map_err(|source| PortError::Read { path: folder.join(path), source })?;
            let Some(defaults) = environment::defaults(&text) else { return Ok(false) };
            if defaults.iter().any(|(name, _)| manifest.environment.iter().any(|(known, _)| known == name)) {
                return Ok(false);
            }
            manifest.environment.extend(defaults);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn readme(folder: &Utf8Path) -> Option<String> {
    ["README.rst", "README.md", "README"].iter().find_map(|name| fs::read_to_string(folder.join(name)).ok())
}

fn put(draft: &Utf8Path, path: &str, text: &str) -> Result<(), PortError> {
    let to = draft.join(path);
    let write = |source| PortError::Write { path: to.clone(), source };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(write)?;
    }
    fs::write(&to, text).map_err(write)
}

/// Copies a file with its mode; a link stays a link.
fn copy(folder: &Utf8Path, draft: &Utf8Path, path: &str) -> Result<(), PortError> {
    let (from, to) = (folder.join(path), draft.join(path));
    let write = |source| PortError::Write { path: to.clone(), source };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(write)?;
    }
    let read = |source| PortError::Read { path: from.clone(), source };
    if from.symlink_metadata().map_err(read)?.is_symlink() {
        let target = from.read_link().map_err(read)?;
        return symlink(target, &to).map_err(write);
    }
    fs::copy(&from, &to).map(drop).map_err(write)
}
