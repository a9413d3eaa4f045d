//! Where elements are found.
//!
//! In: the search path and the folder of kiln's own elements. Out: a folder for each name. Not here: what is in the folders.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::model::Element;
use super::{ElementError, packages};

/// Every element that can be named.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    folders: BTreeMap<String, Utf8PathBuf>,
    /// Folders of the search path that another one of the same name came before.
    overridden: BTreeMap<String, Vec<Utf8PathBuf>>,
    /// Every entry of the path, when packages are looked for as DIB does.
    entries: Option<Vec<Utf8PathBuf>>,
}

impl Catalog {
    /// Looks through `search_path`, then `builtin`, which holds kiln's own elements. The first folder of a name wins as a
    /// whole. Files and hidden folders are not elements; a symlink to a folder is one, under the link's name.
    ///
    /// # Errors
    /// An entry is not a folder, or cannot be listed.
    pub fn new(search_path: &[Utf8PathBuf], builtin: &Utf8Path) -> Result<Self, ElementError> {
        Self::read(search_path, builtin, false)
    }

    /// As [`Self::new`], with two habits of DIB that an image may depend on: a symlink to a folder is an element under the
    /// folder's own name, and the packages of every folder of an element's name count, also of those that another one came
    /// before.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn strict(search_path: &[Utf8PathBuf], builtin: &Utf8Path) -> Result<Self, ElementError> {
        Self::read(search_path, builtin, true)
    }

    fn read(search_path: &[Utf8PathBuf], builtin: &Utf8Path, strict: bool) -> Result<Self, ElementError> {
        let mut catalog = Self::default();
        let entries: Vec<&Utf8Path> = search_path.iter().map(Utf8PathBuf::as_path).chain([builtin]).collect();
        for entry in &entries {
            if !entry.is_dir() {
                return Err(ElementError::NotADirectory((*entry).into()));
            }
            let read = |source| ElementError::Read { path: (*entry).into(), source };
            for child in entry.read_dir_utf8().map_err(read)? {
                let child = child.map_err(read)?;
                let name = child.file_name();
                if name.starts_with('.') || !child.path().is_dir() {
                    continue;
                }
                let real =
                    if strict { child.path().canonicalize_utf8().map_err(read)? } else { child.path().to_owned() };
                let name = if strict { real.file_name().unwrap_or(name) } else { name };
                if !catalog.folders.contains_key(name) {
                    catalog.folders.insert(name.to_owned(), real);
                } else if *entry != builtin {
                    // kiln's own elements are there to be replaced.
                    catalog.overridden.entry(name.to_owned()).or_default().push(child.path().to_owned());
                }
            }
        }
        catalog.entries = strict.then(|| entries.into_iter().map(Utf8Path::to_owned).collect());
        Ok(catalog)
    }

    /// The folder of the element `name`.
    pub fn folder(&self, name: &str) -> Option<&Utf8Path> {
        self.folders.get(name).map(Utf8PathBuf::as_path)
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.folders.keys().map(String::as_str)
    }

    /// Reads the element `name`; `None` when there is none.
    ///
    /// # Errors
    /// A file of it is wrong.
    pub fn load(&self, name: &str) -> Result<Option<Element>, ElementError> {
        let Some(folder) = self.folder(name) else { return Ok(None) };
        let mut element = Element::load(name, folder)?;
        for other in self.overridden.get(name).into_iter().flatten() {
            element.warnings.push(format!("Element {folder} overrides {other}"));
        }
        if let Some(entries) = &self.entries {
            element.packages.clear();
            for entry in entries {
                element.packages.extend(packages::read(&entry.join(name), true)?.0);
            }
        }
        Ok(Some(element))
    }

    /// Names of the elements that provide `what`, sorted. Elements that cannot be read are left out.
    pub fn providers(&self, what: &str) -> Vec<String> {
        self.folders
            .iter()
            .filter(|(name, folder)| {
                Element::load(name, folder).is_ok_and(|element| element.provides.iter().any(|name| name == what))
            })
            .map(|(name, _)| name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_of_a_name_wins_and_files_and_hidden_folders_do_not_count() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for folder in ["one/a", "one/.git", "own/a", "own/b"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("one/README"), "").unwrap();
        std::os::unix::fs::symlink(root.join("own/b"), root.join("one/link")).unwrap();
        let catalog = Catalog::new(&[root.join("one")], &root.join("own")).unwrap();
        assert_eq!(catalog.names().collect::<Vec<_>>(), ["a", "b", "link"]);
        assert_eq!(catalog.folder("a"), Some(root.join("one/a").as_path()));
        assert_eq!(catalog.load("link").unwrap().unwrap().name, "link");
        assert!(catalog.load("README").unwrap().is_none());
    }

    #[test]
    fn strictly_a_link_has_its_targets_name_and_packages_come_from_every_entry() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for (folder, package) in [("one/a", "p1"), ("two/a", "p2"), ("own/a", "p3"), ("else/real", "p4")] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("package-installs.yaml"), format!("{package}:\n")).unwrap();
        }
        std::os::unix::fs::symlink(root.join("else/real"), root.join("one/link")).unwrap();
        let path = [root.join("one"), root.join("two")];
        let packages = |catalog: &Catalog, name| {
            let element = catalog.load(name).unwrap().unwrap();
            element.packages.into_iter().map(|wish| wish.package).collect::<Vec<_>>()
        };
        let own = root.join("own");
        let (catalog, strict) = (Catalog::new(&path, &own).unwrap(), Catalog::strict(&path, &own).unwrap());
        assert_eq!(catalog.names().collect::<Vec<_>>(), ["a", "link"]);
        assert_eq!(strict.names().collect::<Vec<_>>(), ["a", "real"]);
        assert_eq!(packages(&catalog, "a"), ["p1"]);
        assert_eq!(packages(&catalog, "link"), ["p4"]);
        assert_eq!(packages(&strict, "a"), ["p1", "p2", "p3"]);
        // DIB looks for `ENTRY/real`, which there is not.
        assert!(packages(&strict, "real").is_empty());
        let warnings = catalog.load("a").unwrap().unwrap().warnings;
        assert_eq!(warnings, [format!("Element {root}/one/a overrides {root}/two/a")]);
    }

    #[test]
    fn an_entry_that_is_no_folder_is_refused() {
        let error = Catalog::new(&["/nowhere/at/all".into()], Utf8Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "ELEMENTS_PATH entry '/nowhere/at/all' is not a directory");
    }
}
