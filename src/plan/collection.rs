//! Which files of the elements come together in the hooks folder, checked before anything runs.
//!
//! In: the elements in order. Out: nothing, or the pair of elements that bring the same file. DIB finds this out in the middle
//! of a build and names neither. Not here: copying (`hook/collect`).

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::PlanError;
use crate::element::Element;

/// Folders of an element that are not collected.
pub const LEFT_OUT: [&str; 2] = ["tests", "__pycache__"];

/// Refuses two elements that bring the same file into the same folder of hooks.
pub(super) fn check(elements: &[Element]) -> Result<(), PlanError> {
    let mut seen: BTreeMap<Utf8PathBuf, &str> = BTreeMap::new();
    for element in elements {
        let read = |source| PlanError::Read { path: element.directory.clone(), source };
        for folder in element.directory.read_dir_utf8().map_err(read)? {
            let folder = folder.map_err(read)?;
            if !folder.path().is_dir() || LEFT_OUT.contains(&folder.file_name()) {
                continue;
            }
            for entry in folder.path().read_dir_utf8().map_err(read)? {
                let entry = entry.map_err(read)?;
                // A folder is merged with another's, as under DIB; hidden files are not collected.
                if !entry.path().is_file() || entry.file_name().starts_with('.') {
                    continue;
                }
                let inside = Utf8PathBuf::from(folder.file_name()).join(entry.file_name());
                if element.left_out.contains(&inside) {
                    continue;
                }
                if let Some(first) = seen.insert(inside.clone(), &element.name) {
                    return Err(PlanError::DuplicateHook {
                        first: first.to_owned(),
                        second: element.name.clone(),
                        file: inside,
                    });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use camino::Utf8Path;

    use super::*;

    fn element(root: &Utf8Path, name: &str, files: &[&str]) -> Element {
        for file in files {
            let path = root.join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Element { name: name.into(), directory: root.join(name), ..Element::default() }
    }

    #[test]
    fn the_same_file_in_two_elements_is_refused_and_both_are_named() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        let one = element(root, "first", &["install.d/80-x", "README.rst", "tests/x.rhai"]);
        let two = element(root, "second", &["install.d/80-x", "README.rst", "tests/x.rhai"]);
        let error = check(&[one.clone(), two.clone()]).unwrap_err().to_string();
        assert!(error.starts_with("There is a duplicated hook in your elements: install.d/80-x"), "{error}");
        assert!(error.contains("first and second"), "{error}");
        check(&[one.clone(), Element { left_out: vec!["install.d/80-x".into()], ..two }]).unwrap();
        let other = element(root, "other", &["install.d/81-x", "static/usr/x"]);
        let more = element(root, "more", &["static/usr/y", "static/.hidden"]);
        check(&[one, other, more]).unwrap();
    }
}
