//! The hooks that a folder of hooks holds now.
//!
//! In: the hooks folder and a phase. Out: names in the order in which they run: what `dib-run-parts --list` would say. Asked when
//! the phase begins, since hooks of earlier phases may have brought or taken some. Not here: the order itself
//! (`element::hooks`).

use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use regex::Regex;

use super::HookError;
pub use crate::element::hooks::order;
use crate::plan::Phase;

/// Which names are hooks, unless `RUN_PARTS_REGEX` says otherwise.
const NAMES: &str = "^[0-9A-Za-z_-]+$";

/// The hooks of `phase` in the folder `hooks`, unordered. `names` is the value of `RUN_PARTS_REGEX`.
///
/// # Errors
/// The folder cannot be read, or `names` is no regular expression.
pub fn hooks(hooks: &Utf8Path, phase: Phase, names: Option<&str>) -> Result<Vec<String>, HookError> {
    let text = names.filter(|text| !text.is_empty()).unwrap_or(NAMES);
    let names =
        Regex::new(text).map_err(|source| HookError::Names { text: text.to_owned(), source: Box::new(source) })?;
    let folder = hooks.join(phase.directory());
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().map_err(HookError::file("read the folder", &folder))? {
        let entry = entry.map_err(HookError::file("read the folder", &folder))?;
        // A link to a file counts; what it leads to must be executable.
        let Ok(data) = entry.path().metadata() else { continue };
        if data.is_file() && data.permissions().mode() & 0o111 != 0 && names.is_match(entry.file_name()) {
            found.push(entry.file_name().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn executable_files_and_links_with_a_hook_name_are_listed() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        let folder = root.join("install.d");
        fs::create_dir_all(folder.join("10-folder")).unwrap();
        for (name, mode) in [("20-yes", 0o755), ("30-data", 0o644), ("40-x.sh", 0o755)] {
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("20-yes", folder.join("50-link")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("60-dangling")).unwrap();
        let list = |names| {
            let mut list = hooks(root, Phase::Install, names).unwrap();
            list.sort();
            list
        };
        assert_eq!(list(None), ["20-yes", "50-link"]);
        assert_eq!(list(Some(r"^[0-9]+-[a-z.]+$")), ["20-yes", "40-x.sh", "50-link"]);
        assert!(hooks(root, Phase::Root, None).unwrap().is_empty());
        assert!(hooks(root, Phase::Install, Some("(")).unwrap_err().to_string().contains("no regular expression"));
    }
}
