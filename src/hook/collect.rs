//! Brings the files of all elements together in the hooks folder.
//!
//! In: the elements in order. Out: the hooks folder as DIB makes it: each folder of each element merged under its name, the files
//! beside them at the top. Where two elements bring the same file below a folder, or at the top, the later one wins, with a warning;
//! the same hook in two elements was refused when planning. Not here: what the files mean.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use super::{HookError, Site};
use crate::event::Events;
use crate::plan::Plan;
use crate::plan::collection::LEFT_OUT;

/// Copies the files of `elements` (name and folder) to `hooks`, but for those that are `left_out`, and `runner` (the file
/// `dib-run-parts`) beside them.
///
/// # Errors
/// When a file cannot be read or written.
pub fn collect(
    elements: &[(String, Utf8PathBuf)],
    left_out: &[Utf8PathBuf],
    runner: &Utf8Path,
    hooks: &Utf8Path,
    events: &Events,
) -> Result<(), HookError> {
    fs::create_dir_all(hooks).map_err(HookError::file("make the folder", hooks))?;
    for (name, directory) in elements {
        let mut clashes = Vec::new();
        for entry in sorted(directory).map_err(HookError::file("read the element", directory))? {
            let (file_name, to) =
                (entry.file_name().unwrap_or_default(), hooks.join(entry.file_name().unwrap_or_default()));
            if entry.is_dir() {
                if !LEFT_OUT.contains(&file_name) {
                    let copied = merge_visible(&entry, &to, left_out, &mut clashes);
                    copied.map_err(HookError::file("copy the hooks of", directory))?;
                }
            } else if entry.is_file() && entry.extension() != Some("pyc") {
                // Every element has a README and its own lists: only sources are worth a word.
                if file_name.starts_with("source-repository-") && to.exists() {
                    clashes.push(Utf8PathBuf::from(file_name));
                }
                copy(&entry, &to).map_err(HookError::file("copy", &entry))?;
            }
        }
        for file in clashes {
            let file = file.strip_prefix(hooks).unwrap_or(&file).to_owned();
            events.warn(format!("element {name} replaces {file}, which an earlier element brought too"));
        }
    }
    copy(runner, &hooks.join("dib-run-parts")).map_err(HookError::file("copy", runner))
}

/// Refuses a tree that the root phase left empty. What a root element may leave in `/tmp` does not count.
///
/// # Errors
/// The tree holds nothing, or cannot be read.
pub fn require_root(tree: &Utf8Path) -> Result<(), HookError> {
    let mut entries = sorted(tree).map_err(HookError::file("read the tree", tree))?;
    entries.retain(|entry| !matches!(entry.file_name(), Some("lost+found" | "tmp")));
    if entries.is_empty() { Err(HookError::NoRoot) } else { Ok(()) }
}

/// Tells hooks the default install type, from now on: a file of `environment.d`, which the root phase did not see.
///
/// # Errors
/// The file cannot be written.
pub fn install_type(site: &Site<'_>) -> Result<(), HookError> {
    let folder = site.hooks().join("environment.d");
    let file = folder.join("11-dib-install-type.bash");
    let text = format!("export DIB_DEFAULT_INSTALLTYPE=${{DIB_DEFAULT_INSTALLTYPE:-\"{}\"}}\n", site.plan.install_type);
    fs::create_dir_all(&folder).and_then(|()| fs::write(&file, text)).map_err(HookError::file("write", &file))
}

/// Writes the block-device description and its parameters where `dib-block-device` looks for them.
///
/// # Errors
/// A file cannot be written.
pub fn parameters(site: &Site<'_>, plan: &Plan) -> Result<(), HookError> {
    let folder = site.build.join("block-device");
    let (config, params) = (folder.join("config.yaml"), folder.join("params.yaml"));
    let given = &plan.disk.parameters;
    // JSON is YAML too.
    let values = serde_json::json!({
        "config": config,
        "image-dir": site.images,
        "root-fs-type": given.root_fs_type,
        "root-label": given.root_label,
        "mount-base": site.tree(),
        "build-dir": site.build,
    });
    let written = fs::write(&config, &plan.disk.text).and_then(|()| fs::write(&params, format!("{values:#}\n")));
    written.map_err(HookError::file("write", &folder))
}

fn sorted(folder: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let mut entries: Vec<Utf8PathBuf> =
        folder.read_dir_utf8()?.map(|entry| entry.map(|entry| entry.into_path())).collect::<Result<_, _>>()?;
    entries.sort();
    Ok(entries)
}

/// Merges a folder of an element: hidden names directly in it are left out, as under DIB.
fn merge_visible(
    from: &Utf8Path,
    to: &Utf8Path,
    left_out: &[Utf8PathBuf],
    clashes: &mut Vec<Utf8PathBuf>,
) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in sorted(from)? {
        let name = entry.file_name().unwrap_or_default();
        if !name.starts_with('.') && !left_out.contains(&entry) {
            merge(&entry, &to.join(name), clashes)?;
        }
    }
    Ok(())
}

fn merge(from: &Utf8Path, to: &Utf8Path, clashes: &mut Vec<Utf8PathBuf>) -> io::Result<()> {
    let data = fs::symlink_metadata(from)?;
    if !data.is_dir() {
        if to.exists() {
            clashes.push(to.to_owned());
        }
        return copy(from, to);
    }
    if !to.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, data.permissions())?;
    }
    for entry in sorted(from)? {
        merge(&entry, &to.join(entry.file_name().unwrap_or_default()), clashes)?;
    }
    Ok(())
}

/// Copies a file or a link with mode, owner and time; what was there goes.
fn copy(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(data) if !data.is_dir() => fs::remove_file(to)?,
        _ => {}
    }
    let data = fs::symlink_metadata(from)?;
    if data.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(data.uid()), Some(data.gid()));
    }
    fs::copy(from, to)?;
    lchown(to, Some(data.uid()), Some(data.gid()))?;
    // Taking a file over from another owner drops the bits that give its rights away.
    fs::set_permissions(to, data.permissions())?;
    fs::File::options().append(true).open(to)?.set_modified(data.modified()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::Event;

    #[test]
    fn folders_are_merged_files_of_the_top_replaced_and_tests_left_out() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        let files = [
            ("a/README.rst", "a"),
            ("a/source-repository-x", "a"),
            ("a/install.d/10-a", "#!"),
            ("a/install.d/.hidden", ""),
            ("a/static/usr/share/x", "a"),
            ("a/tests/t", ""),
            ("a/x.pyc", ""),
            ("a/install.d/30-left-out", "#!"),
            ("b/README.rst", "b"),
            ("b/source-repository-x", "b"),
            ("b/static/usr/share/x", "b"),
            ("b/static/usr/y", "b"),
            ("runner", "#!/bin/bash"),
        ];
        for (path, text) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        fs::set_permissions(root.join("a/install.d/10-a"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("10-a", root.join("a/install.d/20-link")).unwrap();
        let elements = ["a", "b"].map(|name| (name.to_owned(), root.join(name)));
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        let events = Events::new(move |event| {
            if let Event::Message { text, .. } = event {
                heard.lock().unwrap().push(text);
            }
        });
        let hooks = root.join("hooks");
        let left_out = [root.join("a/install.d/30-left-out")];
        collect(&elements, &left_out, &root.join("runner"), &hooks, &events).unwrap();
        let read = |path: &str| fs::read_to_string(hooks.join(path)).unwrap();
        assert_eq!(
            (read("README.rst"), read("static/usr/share/x"), read("static/usr/y")),
            ("b".into(), "b".into(), "b".into())
        );
        assert_eq!(fs::metadata(hooks.join("install.d/10-a")).unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(fs::read_link(hooks.join("install.d/20-link")).unwrap().to_str(), Some("10-a"));
        assert!(hooks.join("dib-run-parts").is_file());
        for absent in ["tests", "install.d/.hidden", "x.pyc", "install.d/30-left-out"] {
            assert!(!hooks.join(absent).exists(), "{absent}");
        }
        assert_eq!(
            *said.lock().unwrap(),
            [
                "element b replaces source-repository-x, which an earlier element brought too",
                "element b replaces static/usr/share/x, which an earlier element brought too"
            ]
        );
    }
}
