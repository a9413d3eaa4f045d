//! What `import` reaches: `std/…`, which is part of the program, and `./…`, which is the element's own folder.
//!
//! In: an import path. Out: a module, loaded once a run. Not here: Rhai's own resolver, which reads any file of the host.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::host_error::HostError;
use super::nearest::nearest;
use super::source::{self, Sources};
use super::{engine, jail};
use crate::plan::PlannedElement;

/// The Rhai half of the standard library: name, text.
pub const LIBRARY: &[(&str, &str)] = &[
    ("bootstrap", include_str!("../../stdlib/bootstrap.rhai")),
    ("cloud", include_str!("../../stdlib/cloud.rhai")),
    ("consoles", include_str!("../../stdlib/consoles.rhai")),
    ("containers", include_str!("../../stdlib/containers.rhai")),
    ("disk", include_str!("../../stdlib/disk.rhai")),
    ("files", include_str!("../../stdlib/files.rhai")),
    ("kernel", include_str!("../../stdlib/kernel.rhai")),
    ("network", include_str!("../../stdlib/network.rhai")),
    ("packages", include_str!("../../stdlib/packages.rhai")),
    ("python", include_str!("../../stdlib/python.rhai")),
    ("services", include_str!("../../stdlib/services.rhai")),
    ("ssh", include_str!("../../stdlib/ssh.rhai")),
    ("sysprep", include_str!("../../stdlib/sysprep.rhai")),
    ("users", include_str!("../../stdlib/users.rhai")),
    ("variables", include_str!("../../stdlib/variables.rhai")),
];

/// The resolver of one run.
pub struct Imports {
    element: PlannedElement,
    sources: Sources,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: BTreeMap<String, Shared<Module>>,
    loading: Vec<String>,
}

impl Imports {
    /// Imports for scripts of `element`; texts go to `sources`.
    pub fn new(element: &PlannedElement, sources: &Sources) -> Self {
        Self { element: element.clone(), sources: sources.clone(), state: Mutex::default() }
    }

    /// Source name and text of what `path` names.
    fn find(&self, path: &str) -> Result<(String, String), HostError> {
        if let Some(name) = path.strip_prefix("std/") {
            let found = LIBRARY.iter().find(|(known, _)| *known == name);
            let (name, text) = found.ok_or_else(|| {
                let error = HostError::new("import.not-found", format!("the standard library has no `{path}`"));
                match nearest(name, LIBRARY.iter().map(|(known, _)| *known)) {
                    Some(near) => error.help(format!("did you mean `std/{near}`?")),
                    None => error,
                }
            })?;
            return Ok((format!("std/{name}.rhai"), (*text).to_owned()));
        }
        let Some(relative) = path.strip_prefix("./") else {
            let error = HostError::new("import.denied", format!("cannot import `{path}`"));
            return Err(error.help("import `std/…` from the standard library or `./…` from the element's own folder"));
        };
        let relative = format!("{relative}.rhai");
        let file = jail::inside(&self.element.directory, &relative)?;
        let text = std::fs::read_to_string(&file)
            .map_err(|error| HostError::new("import.failed", format!("cannot read {file}: {error}")))?;
        // By its real place: two spellings of one file are one module.
        let real = self.element.directory.canonicalize_utf8().unwrap_or_else(|_| self.element.directory.clone());
        let element = PlannedElement { directory: real, ..self.element.clone() };
        Ok((source::name(&element, &file), text))
    }
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at_import = |error: HostError| {
            let mut error: Box<EvalAltResult> = error.into();
            error.set_position(position);
            error
        };
        let (name, text) = self.find(path).map_err(at_import)?;
        {
            let mut state = lock();
            if let Some(module) = state.loaded.get(&name) {
                return Ok(module.clone());
            }
            if state.loading.contains(&name) {
                let round = format!("{} -> {name}", state.loading.join(" -> "));
                return Err(at_import(HostError::new("import.cycle", format!("files import each other: {round}"))));
            }
            if state.loading.len() + state.loaded.len() >= engine::MODULES {
                let text = format!("the script imports more than {} files", engine::MODULES);
                return Err(at_import(HostError::new("limit.modules", text)));
            }
            state.loading.push(name.clone());
        }
        self.sources.add(&name, &text);
        let made = engine.compile(&text).map_err(Into::into).and_then(|mut ast| {
            ast.set_source(&name);
            Module::eval_ast_as_new(Scope::new(), &ast, engine)
        });
        let mut state = lock();
        state.loading.pop();
        let module: Shared<Module> =
            made.map_err(|error| Box::new(EvalAltResult::ErrorInModule(name.clone(), error, position)))?.into();
        state.loaded.insert(name, module.clone());
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_what_the_folder_holds() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/stdlib")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".rhai").map(str::to_owned)).collect();
        names.sort();
        let table: Vec<&str> = LIBRARY.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, table);
    }
}
