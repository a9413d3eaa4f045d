//! Where elements are found.
//!
//! In: the search path and the folder of kiln's own elements. Out: a folder for each name. Not here: what is in the folders.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::ElementError;
use super::model::Element;

/// Every element that can be named.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    folders: BTreeMap<String, Utf8PathBuf>,
}

impl Catalog {
    /// Looks through `search_path`, then `builtin`, which holds kiln's own elements. The first folder of a name wins as a
    /// whole. Files and hidden folders are not elements; a symlink to a folder is one, under the link's name.
    ///
    /// # Errors
    /// An entry is not a folder, or cannot be listed.
    pub fn new(search_path: &[Utf8PathBuf], builtin: &Utf8Path) -> Result<Self, ElementError> {
        let mut folders = BTreeMap::new();
        for entry in search_path.iter().map(Utf8PathBuf::as_path).chain([builtin]) {
            if !entry.is_dir() {
                return Err(ElementError::NotADirectory(entry.into()));
            }
            let read = |source| ElementError::Read { path: entry.into(), source };
            for child in entry.read_dir_utf8().map_err(read)? {
                let child = child.map_err(read)?;
                let name = child.file_name();
                if !name.starts_with('.') && child.path().is_dir() {
                    folders.entry(name.to_string()).or_insert_with(|| child.path().to_owned());
                }
            }
        }
        Ok(Self { folders })
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
        self.folder(name).map(|folder| Element::load(name, folder)).transpose()
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
    fn an_entry_that_is_no_folder_is_refused() {
        let error = Catalog::new(&["/nowhere/at/all".into()], Utf8Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "ELEMENTS_PATH entry '/nowhere/at/all' is not a directory");
    }
}
