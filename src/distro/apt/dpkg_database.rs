//! dpkg's record of what is installed, as dpkg itself would have written it (dpkg(1), deb-triggers(5)).
//!
//! In: what was unpacked. Out: `/var/lib/dpkg/{status,available,info/*,triggers/*}` in which each package is unpacked and waits
//! for its configuration; afterwards `/var/lib/apt/extended_states`. Not here: configuring.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::control;
use super::deb::Control;
use super::index::Package;
use super::tree::Tree;
use super::unpack::Unpacked;
use crate::distro::DistroError;

/// The database of the tree at a root.
#[derive(Debug)]
pub struct Database {
    root: Utf8PathBuf,
}

impl Database {
    /// The database of the tree at `root`, made when missing.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn open(root: &Utf8Path) -> Result<Self, DistroError> {
        let database = Self { root: root.to_owned() };
        let tree = database.tree()?;
        for folder in ["info", "updates", "triggers", "alternatives", "parts"] {
            let path = path(folder);
            tree.make_dir(path.as_bytes()).map_err(|source| database.failed("make", &path, source))?;
        }
        for (file, content) in [("status", ""), ("available", ""), ("cmethopt", "apt apt\n"), ("info/format", "1\n")] {
            if !tree.has(&path(file)) {
                database.write(&tree, file, content.as_bytes(), false)?;
            }
        }
        Ok(database)
    }

    /// Writes the control files of a package that is about to be unpacked, so that its scripts can run.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn add_control(&self, control: &Control) -> Result<(), DistroError> {
        let (tree, name) = (self.tree()?, info_name(control));
        for (file, (content, executable)) in &control.files {
            self.write(&tree, &format!("info/{name}.{file}"), content, *executable)?;
        }
        Ok(())
    }

    /// Records packages as unpacked: `(position, what was unpacked)`; `lost` are files that a package does not have after all.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn add_unpacked(
        &self,
        unpacked: &[(usize, Unpacked)],
        lost: &HashSet<(usize, String)>,
    ) -> Result<(), DistroError> {
        let tree = self.tree()?;
        let mut status = String::new();
        for (position, package) in unpacked {
            let mut list = String::new();
            for path in &package.paths {
                if !lost.contains(&(*position, path.clone())) {
                    list.push_str(path);
                    list.push('\n');
                }
            }
            self.write(&tree, &format!("info/{}.list", info_name(&package.control)), list.as_bytes(), false)?;
            self.add_control(&package.control)?;
            status.push_str(&status_entry(package));
        }
        self.append("status", &status)?;
        self.add_interests(unpacked)?;
        self.activate_file_triggers(unpacked)
    }

    /// Records who wants to hear of what (deb-triggers(5)).
    fn add_interests(&self, unpacked: &[(usize, Unpacked)]) -> Result<(), DistroError> {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        let mut files = String::new();
        for (_, package) in unpacked {
            for line in package.control.lines("triggers") {
                let Some((directive, trigger)) = line.split_once(char::is_whitespace) else { continue };
                let ending = match directive {
                    "interest" | "interest-await" => "",
                    "interest-noawait" => "/noawait",
                    _ => continue,
                };
                let who = format!("{}{ending}", info_name(&package.control));
                let trigger = trigger.trim();
                if trigger.starts_with('/') {
                    let _ = writeln!(files, "{trigger} {who}");
                } else if is_trigger(trigger) {
                    let _ = writeln!(named.entry(trigger.to_owned()).or_default(), "{who}");
                } else {
                    return Err(DistroError::Format {
                        file: info_name(&package.control),
                        reason: format!("{trigger:?} is no name of a trigger"),
                    });
                }
            }
        }
        self.append("triggers/File", &files)?;
        for (trigger, who) in named {
            self.append(&format!("triggers/{trigger}"), &who)?;
        }
        Ok(())
    }

    /// Activates the triggers on paths that the packages brought; dpkg finds them when it configures next.
    fn activate_file_triggers(&self, unpacked: &[(usize, Unpacked)]) -> Result<(), DistroError> {
        let text = self.tree()?.read(&path("triggers/File")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let watched: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        let mut active = BTreeSet::new();
        for (_, package) in unpacked {
            for path in &package.paths {
                let mut at = Some(path.as_str());
                while let Some(prefix) = at {
                    if watched.contains(prefix) {
                        active.insert(prefix.to_owned());
                    }
                    at = prefix.rfind('/').filter(|slash| *slash > 0).map(|slash| &prefix[..slash]);
                }
            }
        }
        let lines: String = active.iter().map(|path| format!("{path} -\n")).collect();
        self.append("triggers/Unincorp", &lines)
    }

    /// Tells apt which of the packages came only because others need them.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn mark_automatic(&self, packages: &[Package], manual: &[String], arch: &str) -> Result<(), DistroError> {
        let mut text = String::new();
        for package in packages.iter().filter(|package| !manual.contains(&package.name)) {
            let _ = write!(text, "Package: {}\nArchitecture: {arch}\nAuto-Installed: 1\n\n", package.name);
        }
        let path = "var/lib/apt/extended_states";
        self.tree()?.put(path, text.as_bytes(), 0o644).map_err(|source| self.failed("write", path, source))
    }

    /// Opened anew each time: between two calls scripts change the tree.
    fn tree(&self) -> Result<Tree, DistroError> {
        Tree::open(&self.root).map_err(|source| self.failed("open", "", source))
    }

    fn write(&self, tree: &Tree, file: &str, content: &[u8], executable: bool) -> Result<(), DistroError> {
        let path = path(file);
        let mode = if executable { 0o755 } else { 0o644 };
        tree.put(&path, content, mode).map_err(|source| self.failed("write", &path, source))
    }

    fn append(&self, file: &str, text: &str) -> Result<(), DistroError> {
        let path = path(file);
        self.tree()?.append(&path, text).map_err(|source| self.failed("write", &path, source))
    }

    fn failed(&self, action: &'static str, path: &str, source: std::io::Error) -> DistroError {
        DistroError::File { action, path: self.root.join(path), source }
    }
}

/// A file of the database by its path in the tree.
fn path(file: &str) -> String {
    format!("var/lib/dpkg/{file}")
}

/// Whether a trigger that is no path may be called so: its name is a file's name beside dpkg's own.
fn is_trigger(name: &str) -> bool {
    !matches!(name, "" | "File" | "Unincorp" | "Lock")
        && !name.starts_with('.')
        && !name.contains(['/', '\0', ' ', '\t'])
}

/// The name that dpkg files a package under: with the architecture when several may be installed side by side.
pub fn info_name(control: &Control) -> String {
    let (mut name, mut arch, mut same) = ("", "", false);
    for (field, value) in control::fields(&control.paragraph) {
        match field {
            "Package" => name = value,
            "Architecture" => arch = value,
            "Multi-Arch" => same = value == "same",
            _ => {}
        }
    }
    if same { format!("{name}:{arch}") } else { name.to_owned() }
}

fn status_entry(package: &Unpacked) -> String {
    let mut entry = String::new();
    for (field, value) in control::fields(&package.control.paragraph) {
        if field == "Description" && !package.conffiles.is_empty() {
            entry.push_str("Conffiles:\n");
            for (path, md5) in &package.conffiles {
                let _ = writeln!(entry, " {path} {md5}");
            }
        }
        let _ = writeln!(entry, "{field}: {value}");
        if field == "Package" {
            entry.push_str("Status: install ok unpacked\n");
        }
    }
    entry.push('\n');
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(triggers: &str) -> (usize, Unpacked) {
        let mut control = Control { paragraph: "Package: a\nArchitecture: all\n".into(), ..Control::default() };
        control.files.insert("triggers".into(), (triggers.as_bytes().to_vec(), false));
        (0, Unpacked { control, ..Unpacked::default() })
    }

    #[test]
    fn triggers_become_files_only_under_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let database = Database::open(root).unwrap();
        for name in ["../../../x", "File", "Unincorp", "Lock", ".."] {
            let error = database.add_unpacked(&[package(&format!("interest {name}\n"))], &HashSet::new()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        database.add_unpacked(&[package("interest-noawait ldconfig\n")], &HashSet::new()).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("var/lib/dpkg/triggers/ldconfig")).unwrap(), "a/noawait\n");
    }

    #[test]
    fn the_database_of_a_tree_that_links_out_of_itself_is_not_written_outside() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let root = top.join("root");
        std::fs::create_dir_all(top.join("outside")).unwrap();
        std::fs::create_dir_all(root.join("var/lib")).unwrap();
        std::os::unix::fs::symlink(top.join("outside"), root.join("var/lib/dpkg")).unwrap();
        assert!(Database::open(&root).is_err());
        assert_eq!(top.join("outside").read_dir_utf8().unwrap().count(), 0);
    }
}
