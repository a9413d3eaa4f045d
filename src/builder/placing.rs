//! Gives a build's artifacts their names.
//!
//! In: finished artifacts under temporary names. Out: all of them, durable and with their digest files, under their own names; what an
//! earlier build left there is gone, or has another name (`old_output`). Not here: what is written into them.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{old_output, root_hash};
use crate::event::{Artifact, Events};
use crate::format;
use crate::sandbox::init;

/// The paths of an output and of the digest files that it may have.
pub fn with_digests(path: &Utf8Path) -> [Utf8PathBuf; 3] {
    [path.to_owned(), format!("{path}.md5").into(), format!("{path}.sha256").into()]
}

/// Makes artifacts and their digest files durable and gives them their names: a reader never sees half an image, nor an image
/// beside the digests of another. A signal that came before the first name is given (`interrupted` tells its number) ends it, and is
/// the result. With `keep`, what bears an artifact's name already gets another one, which is said there.
pub fn place(
    artifacts: &[Artifact],
    build: &str,
    interrupted: impl Fn() -> Option<i32>,
    keep: Option<&Events>,
) -> Result<Option<i32>, String> {
    let mut renames = Vec::new();
    for artifact in artifacts {
        if let Some(signal) = interrupted() {
            return Ok(Some(signal));
        }
        sync(&artifact.temporary)?;
        renames.push((artifact.temporary.clone(), artifact.path.clone()));
        for (path, text) in format::checksum::checksum_files(artifact) {
            let temporary = format::temporary(&path, build);
            fs::write(&temporary, text).map_err(|error| format!("cannot write {temporary}: {error}"))?;
            sync(&temporary)?;
            renames.push((temporary, path));
        }
    }
    let names = taken(artifacts);
    if let Some(events) = keep {
        for (path, format) in &names {
            old_output::keep(path, format, events)?;
        }
    }
    for path in names.iter().flat_map(|(path, _)| with_digests(path)).filter(|path| path.is_file()) {
        let is_made_anew = artifacts.iter().any(|artifact| artifact.path == path);
        if !is_made_anew {
            fs::remove_file(&path).map_err(|error| format!("cannot remove {path}, which is out of date: {error}"))?;
        }
    }
    for (from, to) in &renames {
        fs::rename(from, to).map_err(|error| format!("cannot rename {from} to {to}: {error}"))?;
    }
    for artifact in artifacts {
        let folder = artifact.path.parent().filter(|folder| !folder.as_str().is_empty());
        sync(folder.unwrap_or(Utf8Path::new(".")))?;
    }
    Ok(None)
}

/// The paths of artifacts with their formats, and of the root hashes of images that they replace: with another image they would be
/// wrong.
fn taken(artifacts: &[Artifact]) -> Vec<(Utf8PathBuf, &str)> {
    let with_hashes = artifacts.iter().flat_map(|Artifact { path, format, .. }| {
        let hashes = if path.is_file() { root_hash::beside(path, format) } else { Vec::new() };
        let not_made = |hash: &Utf8PathBuf| artifacts.iter().all(|artifact| artifact.path != *hash);
        let hashes = hashes.into_iter().filter(not_made).map(|hash| (hash, "roothash"));
        std::iter::once((path.clone(), format.as_str())).chain(hashes)
    });
    with_hashes.collect()
}

fn sync(path: &Utf8Path) -> Result<(), String> {
    init::sync(path).map_err(|error| format!("cannot make {path} durable: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places an image in a folder where an earlier build left one, its digests, and the hashes of its root; what is there then.
    fn placed(format: &str, name: &str, made: &[&str], keep: bool) -> Vec<(String, String)> {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for name in ["i.raw", "i.raw.md5", "i.tar", "i.roothash", "i.roothash.sha256"] {
            fs::write(root.join(name), "old").unwrap();
        }
        let artifact = |format: &str, name: &str| {
            let temporary = root.join(format!("{name}.part"));
            fs::write(&temporary, "new").unwrap();
            Artifact { format: format.into(), temporary, path: root.join(name), size: 3, digests: Vec::new() }
        };
        let hashes = made.iter().map(|name| artifact("roothash", name));
        let artifacts: Vec<Artifact> = std::iter::once(artifact(format, name)).chain(hashes).collect();
        let events = Events::none();
        assert_eq!(place(&artifacts, "build", || None, keep.then_some(&events)).unwrap(), None);
        let time = regex::Regex::new(r"-[0-9.-]+\.").unwrap();
        let files = root.read_dir_utf8().unwrap().map(|entry| {
            let path = entry.unwrap().into_path();
            (time.replace(path.file_name().unwrap(), "-TIME.").into(), fs::read_to_string(&path).unwrap())
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    }

    fn named(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    #[test]
    fn digests_and_root_hashes_of_a_replaced_image_go_with_it() {
        assert_eq!(placed("raw", "i.raw", &[], false), named(&[("i.raw", "new"), ("i.tar", "old")]));
        let kept = [
            ("i-TIME.raw", "old"),
            ("i-TIME.raw.md5", "old"),
            ("i-TIME.roothash", "old"),
            ("i-TIME.roothash.sha256", "old"),
            ("i.raw", "new"),
            ("i.tar", "old"),
        ];
        assert_eq!(placed("raw", "i.raw", &[], true), named(&kept));
        let made = [("i.raw", "new"), ("i.roothash", "new"), ("i.tar", "old")];
        assert_eq!(placed("raw", "i.raw", &["i.roothash"], false), named(&made));
    }

    #[test]
    fn root_hashes_of_an_image_that_stays_stay() {
        let others = [("i.raw", "old"), ("i.raw.md5", "old"), ("i.roothash", "old"), ("i.roothash.sha256", "old")];
        let with = |more: &[(&str, &str)]| {
            let mut files = named(&[&others[..], more].concat());
            files.sort();
            files
        };
        assert_eq!(placed("tar", "i.tar", &[], false), with(&[("i.tar", "new")]));
        assert_eq!(placed("qcow2", "i.qcow2", &[], false), with(&[("i.qcow2", "new"), ("i.tar", "old")]));
    }

    #[test]
    fn after_a_signal_nothing_has_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        fs::write(root.join("part"), "new").unwrap();
        let artifact = Artifact {
            format: "raw".into(),
            temporary: root.join("part"),
            path: root.join("i.raw"),
            size: 3,
            digests: Vec::new(),
        };
        assert_eq!(place(&[artifact], "build", || Some(15), None).unwrap(), Some(15));
        assert!(!root.join("i.raw").exists());
    }
}
