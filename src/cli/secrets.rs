//! `--secret NAME=FILE`: texts that a build may read and must not tell.
//!
//! In: the words, and a plan's elements. Out: names and files that are there, or a refusal. Not here: reading them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::plan::Plan;

/// Reads the words of `--secret`. Paths become absolute.
pub fn read(words: &[String]) -> Result<BTreeMap<String, Utf8PathBuf>, String> {
    let here = super::meaning::current_folder()?;
    let mut secrets = BTreeMap::new();
    for word in words {
        let (name, file) = word
            .split_once('=')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .ok_or_else(|| "a `--secret` is not of the form NAME=FILE".to_owned())?;
        let path = here.join(file);
        if !path.is_file() {
            return Err(format!("the file {path} of the secret `{name}` is not there"));
        }
        if secrets.insert(name.to_owned(), path).is_some() {
            return Err(format!("the secret `{name}` is given twice"));
        }
    }
    Ok(secrets)
}

/// Refuses a plan whose elements, or whose encrypted containers, want secrets that nobody gave.
pub fn check(plan: &Plan, secrets: &BTreeMap<String, Utf8PathBuf>) -> Result<(), String> {
    for element in &plan.elements {
        for name in element.permissions.iter().filter_map(|grant| grant.strip_prefix("secrets:")) {
            if !secrets.contains_key(name) {
                let element = &element.name;
                return Err(format!("the element `{element}` wants the secret `{name}`: add `--secret {name}=FILE`"));
            }
        }
    }
    let layout = plan.provisional_layout().map_err(|error| error.to_string())?;
    if let Some(container) = layout.luks.iter().find(|container| !secrets.contains_key(&container.secret)) {
        let (node, name) = (&container.name, &container.secret);
        return Err(format!("the container `{node}` is opened by the secret `{name}`: add `--secret {name}=FILE`"));
    }
    Ok(())
}
