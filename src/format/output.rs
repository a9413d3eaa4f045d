//! Whether outputs can be written at all, asked before a build starts.
//!
//! In: the outputs of a plan. Out: nothing, or the first reason why not. Not here: writing them.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::{AccessFlags, access};

use super::{FormatError, host};
use crate::plan::Output;
use crate::sandbox;

/// Fails when an output's format is unknown or needs what this machine has not, its folder is missing or not writable, its path is a
/// folder, or two outputs share a path.
pub fn check_outputs(outputs: &[Output]) -> Result<(), FormatError> {
    let mut seen = BTreeSet::new();
    for output in outputs {
        super::find(&output.format)?;
        let path = &output.path;
        check_place(path)?;
        host::check(output)?;
        if !seen.insert(path) {
            return Err(FormatError::Twice { path: path.clone() });
        }
    }
    Ok(())
}

/// A file can be made at `path`, or take the place of the file that is there.
///
/// # Errors
/// Something else is there, or its folder is missing or not writable.
pub fn check_place(path: &Utf8Path) -> Result<(), FormatError> {
    let folder = folder(path);
    let path = path.to_owned();
    if path.is_dir() || path.file_name().is_none() {
        return Err(FormatError::IsFolder { path });
    }
    if path.exists() && !path.is_file() {
        return Err(FormatError::NoFile { path });
    }
    if !folder.is_dir() {
        return Err(FormatError::NoFolder { path, folder });
    }
    if access(folder.as_std_path(), AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Err(FormatError::NotWritable { path, folder });
    }
    Ok(())
}

/// Bytes that an unprivileged process may still write on the file system of `path`, an existing file or folder, or a file to
/// be made in an existing folder.
pub fn free_space(path: &Utf8Path) -> Result<u64, FormatError> {
    let existing = if path.exists() { path.to_owned() } else { folder(path) };
    sandbox::host::free_space(&existing).map_err(FormatError::io("find the free space of", &existing))
}

fn folder(path: &Utf8Path) -> Utf8PathBuf {
    match path.parent() {
        Some(parent) if parent != "" => parent.to_owned(),
        _ => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(path: &Utf8Path) -> Output {
        Output {
            format: "raw".into(),
            path: path.to_owned(),
            disk: String::new(),
            qcow2_compression: Default::default(),
            options: String::new(),
            variables: Default::default(),
        }
    }

    #[test]
    fn a_missing_folder_a_folder_and_a_path_used_twice_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let good = output(&root.join("i.raw"));
        check_outputs(std::slice::from_ref(&good)).unwrap();
        assert!(matches!(check_outputs(&[output(root)]), Err(FormatError::IsFolder { .. })));
        assert!(matches!(check_outputs(&[output(&root.join("no/i.raw"))]), Err(FormatError::NoFolder { .. })));
        assert!(matches!(check_outputs(&[good.clone(), good]), Err(FormatError::Twice { .. })));
    }

    #[test]
    fn a_bare_name_lies_in_the_working_folder() {
        check_outputs(&[output(Utf8Path::new("no-such-image.raw"))]).unwrap();
    }

    #[test]
    fn free_space_of_a_file_to_be_is_that_of_its_folder() {
        assert!(free_space(Utf8Path::new("/tmp/no-such-image.raw")).unwrap() > 0);
    }
}
