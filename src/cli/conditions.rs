//! What conditions in package lists see of `environment.d`.
//!
//! In: elements, the variables known so far. Out: the variables after every file of `environment.d`, read by a real bash on this
//! machine. DIB asks the same, in the middle of a build. Not here: the conditions (`element::packages`), `environment.d` of a
//! phase (`hook::environment`).

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::element::{Element, HookKind, Settings};
use crate::event::Events;
use crate::hook::environment::{self, Environment};
use crate::hook::limits::Limits;
use crate::request::Request;

/// Whether the program installs the packages that elements list, and a condition looks at variables that `environment.d` may set.
pub fn are_asked(elements: &[Element]) -> bool {
    let is_shell = |element: &Element| element.hooks.iter().any(|hook| matches!(hook.kind, HookKind::Shell { .. }));
    let installer = elements.iter().find(|element| element.name == "package-installs");
    let by_hooks = installer.is_some_and(is_shell);
    !by_hooks && elements.iter().flat_map(|element| &element.packages).any(|wish| wish.looks_at_variables())
}

/// The variables that hooks of `elements` start from, without what only a builder knows, after `environment.d`. The folders that a
/// builder will make are below `store`.
///
/// # Errors
/// A file of it fails; complete text.
pub fn variables(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    store: &Utf8Path,
) -> Result<BTreeMap<String, String>, String> {
    let mut variables = request.environment.clone();
    variables.extend(settings.variables.clone());
    variables.entry("IMAGE_NAME".to_owned()).or_insert_with(|| "image".to_owned());
    let names: Vec<&str> = elements.iter().map(|element| element.name.as_str()).collect();
    variables.insert("IMAGE_ELEMENT".to_owned(), names.join(" "));
    let build = store.join("build");
    for (name, path) in [
        ("TMP_BUILD_DIR", build.clone()),
        ("TMP_HOOKS_PATH", build.join("hooks")),
        ("TMP_MOUNT_PATH", build.join("mnt")),
    ] {
        variables.insert(name.to_owned(), path.into_string());
    }
    let mut files: Vec<Utf8PathBuf> = Vec::new();
    for element in elements {
        let folder = element.directory.join("environment.d");
        for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
            files.push(entry.into_path());
        }
    }
    if files.is_empty() {
        return Ok(variables);
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let files: Vec<String> = files.into_iter().map(Utf8PathBuf::into_string).collect();
    let start = Environment::plain(variables, "/".into());
    let limits = if request.confine { Limits::outside_builds() } else { Ok(Limits::default()) };
    let read =
        limits.and_then(|limits| environment::read(&files, start, None, "the elements", &limits, &Events::none()));
    Ok(read.map_err(|error| error.to_string())?.variables)
}
