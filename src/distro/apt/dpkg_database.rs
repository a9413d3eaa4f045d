//! dpkg's record of what is installed, as dpkg itself would have written it (dpkg(1), deb-triggers(5)).
//!
//! In: what was unpacked. Out: `/var/lib/dpkg/{status,available,info/*,triggers/*}` in which each package is unpacked and waits
//! for its configuration; afterwards `/var/lib/apt/extended_states`. Not here: configuring.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::control;
use super::deb::Control;
use super::index::Package;
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
        for folder in ["", "info", "updates", "triggers", "alternatives", "parts"] {
            let path = database.path(folder);
            std::fs::create_dir_all(&path).map_err(|source| DistroError::File { action: "make", path, source })?;
        }
        for (file, content) in [("status", ""), ("available", ""), ("cmethopt", "apt apt\n"), ("info/format", "1\n")] {
            if !database.path(file).exists() {
                database.write(file, content.as_bytes(), false)?;
            }
        }
        Ok(database)
    }

    /// Writes the control files of a package that is about to be unpacked, so that its scripts can run.
    ///
    /// # Errors
    /// When the tree cannot be written.
    pub fn add_control(&self, control: &Control) -> Result<(), DistroError> {
        let name = info_name(control);
        for (file, (content, executable)) in &control.files {
            self.write(&format!("info/{name}.{file}"), content, *executable)?;
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
        let mut status = String::new();
        for (position, package) in unpacked {
            let mut list = String::new();
            for path in &package.paths {
                if !lost.contains(&(*position, path.clone())) {
                    list.push_str(path);
                    list.push('\n');
                }
            }
            self.write(&format!("info/{}.list", info_name(&package.control)), list.as_bytes(), false)?;
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
                if trigger.trim().starts_with('/') {
                    let _ = writeln!(files, "{} {who}", trigger.trim());
                } else {
                    let _ = writeln!(named.entry(trigger.trim().to_owned()).or_default(), "{who}");
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
        let text = std::fs::read_to_string(self.path("triggers/File")).unwrap_or_default();
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
        let path = self.root.join("var/lib/apt/extended_states");
        std::fs::write(&path, text).map_err(|source| DistroError::File { action: "write", path, source })
    }

    fn path(&self, file: &str) -> Utf8PathBuf {
        self.root.join("var/lib/dpkg").join(file)
    }

    fn write(&self, file: &str, content: &[u8], executable: bool) -> Result<(), DistroError> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(file);
        let mode = if executable { 0o755 } else { 0o644 };
        std::fs::write(&path, content)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
            .map_err(|source| DistroError::File { action: "write", path, source })
    }

    fn append(&self, file: &str, text: &str) -> Result<(), DistroError> {
        let path = self.path(file);
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| DistroError::File { action: "write", path, source })
    }
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
