//! What can change a step's result, as a hash.
//!
//! In: a plan and one of its steps. Out: BLAKE3 over all that the step can see and that is known when planning. The builder
//! chains these with what only it can know (the versions of packages, the layers below). A hit that might be wrong is worse
//! than a miss: where an exact answer would need running the step, everything counts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use serde::Serialize;

use super::assemble::{PlanError, element_hashes};
use super::{Action, Plan, Step};

/// Hashes of the steps of one plan.
pub(super) struct Inputs {
    elements: BTreeMap<String, String>,
    host: BTreeMap<String, String>,
    disk: String,
    facts: String,
}

impl Inputs {
    /// Reads the elements' files.
    pub(super) fn new(plan: &Plan) -> Result<Self, PlanError> {
        let names: Vec<&String> = plan.elements.iter().map(|element| &element.name).collect();
        Ok(Self {
            elements: element_hashes(plan)?,
            host: host_hashes(plan)?,
            // Sizes are not final before the tree is: only identifiers and names reach a step.
            disk: hash(&(&plan.seed, &plan.disk)),
            facts: hash(&(&plan.name, &plan.arch, &plan.system, &plan.variables, names)),
        })
    }

    /// The hash of `step`.
    pub(super) fn of(&self, step: &Step, plan: &Plan) -> String {
        match &step.action {
            // Needs no more than what it is given: other elements and names change nothing.
            Action::Bootstrap { .. } => hash(&(&step.action, &plan.arch, &plan.system.distribution)),
            Action::Script { file, function } => {
                let element = plan.elements.iter().find(|element| Some(&element.name) == step.element.as_ref());
                let grants = element.map(|element| (&element.permissions, &element.options));
                let name = step.element.as_deref().unwrap_or_default();
                let files = (self.elements.get(name), self.host.get(name));
                // The folder's own place does not matter, the file's place in it does.
                hash(&(file.file_name(), function, files, grants, &self.facts, &self.disk))
            }
            Action::FileSystemTable | Action::BootLoader { .. } => hash(&(&step.action, &self.disk, &plan.arch)),
            Action::RemovePackages { .. } | Action::Initramfs | Action::Tidy => hash(&step.action),
        }
    }
}

/// Hashes of what elements may read of the host, for those that may read anything.
fn host_hashes(plan: &Plan) -> Result<BTreeMap<String, String>, PlanError> {
    let mut hashes = BTreeMap::new();
    for element in &plan.elements {
        let paths = element.permissions.iter().filter_map(|grant| grant.strip_prefix("read-host:"));
        let mut seen = Vec::new();
        for path in paths.map(Utf8Path::new) {
            let content = match fs::metadata(path) {
                Ok(data) if data.is_dir() => folder_hash(path),
                Ok(_) => fs::read(path).map(|content| blake3::hash(&content).to_hex().to_string()),
                Err(_) => Ok("absent".to_owned()),
            };
            let read = |source| PlanError::Read { path: path.to_owned(), source };
            seen.push((path.to_owned(), content.map_err(read)?));
        }
        if !seen.is_empty() {
            hashes.insert(element.name.clone(), hash(&seen));
        }
    }
    Ok(hashes)
}

fn hash(value: &impl Serialize) -> String {
    // A plan's values have string keys only: they serialise.
    let text = serde_json::to_vec(value).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}

/// A hash over names, modes and contents of everything below `folder`, in the order of names.
pub(super) fn folder_hash(folder: &Utf8Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().min_depth(1) {
        let entry = entry?;
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let data = entry.metadata()?;
        let content = if data.is_file() {
            fs::read(entry.path())?
        } else if data.is_symlink() {
            fs::read_link(entry.path())?.into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        for part in [name.as_os_str().as_encoded_bytes(), &data.permissions().mode().to_le_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_hash_changes_with_names_modes_and_contents() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(temporary.path()).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut look = || assert!(seen.insert(folder_hash(folder).unwrap()), "the hash did not change");
        look();
        fs::write(folder.join("a"), "x").unwrap();
        look();
        fs::write(folder.join("a"), "y").unwrap();
        look();
        fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        look();
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        look();
        std::os::unix::fs::symlink("b", folder.join("c")).unwrap();
        look();
        assert_eq!(folder_hash(folder).unwrap(), folder_hash(folder).unwrap());
    }
}
