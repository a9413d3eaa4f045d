//! An element as rules look at it: its files, its scripts, what loading it says.
//!
//! In: its folder, the names that other elements have. Out: values; rules read nothing more. Not here: the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use super::file::File;
use crate::diagnostic::Diagnostic;
use crate::element::{Element, ElementError};
use crate::plan::Phase;
use crate::script::syntax::calls::{self, Calls};
use crate::script::syntax::{self, Source};

/// Folders that hold nothing of the element's own.
const LEFT_OUT: [&str; 4] = ["__pycache__", ".git", ".tox", "node_modules"];

/// More files than this are no element.
const FILES: usize = 20_000;

/// What a script of an element is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `element.rhai`.
    Element,
    /// A hook file of a phase.
    Hook(Phase),
    /// A file of `tests/`.
    Test,
    /// What others import.
    Library,
}

/// A Rhai file of an element.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its path from the element's folder.
    pub path: Utf8PathBuf,
    /// What it is for.
    pub role: Role,
    /// What is in it, or why it cannot be read.
    pub source: Result<Source, Box<Diagnostic>>,
    /// What it calls.
    pub calls: Calls,
    /// Its own functions: name and numbers of parameters.
    pub functions: BTreeMap<String, BTreeSet<usize>>,
}

impl Script {
    /// It has a function of its own that takes so many values.
    pub fn has(&self, name: &str, count: usize) -> bool {
        self.functions.get(name).is_some_and(|counts| counts.contains(&count))
    }
}

/// What there is beside the element.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Names of all elements, and of what they provide. Empty when it is not known.
    pub names: BTreeSet<String>,
    /// Rules of DIB's that the project switches off (`ignore` of `[dib-lint]` in tox.ini).
    pub ignored: Vec<String>,
}

/// An element to look at.
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub directory: Utf8PathBuf,
    /// Its regular files, sorted by path.
    pub files: Vec<File>,
    /// Its Rhai files, sorted by path.
    pub scripts: Vec<Script>,
    /// The element as a build reads it, or why it does not.
    pub element: Result<Element, ElementError>,
    /// What there is beside it.
    pub surroundings: Rc<Surroundings>,
}

impl Subject {
    /// Reads everything of the element `name` in `directory`.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn read(name: &str, directory: &Utf8Path, surroundings: &Rc<Surroundings>) -> Result<Self, ElementError> {
        let element = Element::load(name, directory);
        let mut files = Vec::new();
        let walk = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| !LEFT_OUT.iter().any(|name| entry.file_name() == *name));
        for entry in walk {
            let entry = entry.map_err(|error| unreadable(directory, error.into()))?;
            let Some(path) = Utf8Path::from_path(entry.path()) else { continue };
            let Ok(inside) = path.strip_prefix(directory) else { continue };
            if !entry.file_type().is_file() {
                continue;
            }
            files.push(File::read(directory, inside).map_err(|source| unreadable(path, source))?);
            if files.len() > FILES {
                let message = format!("it holds more than {FILES} files, so it is no element");
                return Err(ElementError::File { path: directory.into(), message });
            }
        }
        let texts = files.iter().filter(|file| file.path.extension() == Some("rhai"));
        let scripts = texts.map(|file| script(name, file)).collect();
        Ok(Self {
            name: name.into(),
            directory: directory.into(),
            files,
            scripts,
            element,
            surroundings: Rc::clone(surroundings),
        })
    }

    /// Reads the scripts that a build with this element runs, and nothing else: what a check before a build needs.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_build(element: &Element) -> Result<Self, ElementError> {
        let mut wanted: Vec<Utf8PathBuf> = vec!["element.rhai".into()];
        for hook in &element.hooks {
            if let crate::element::HookKind::Script { file, .. } = &hook.kind {
                wanted.extend(file.strip_prefix(&element.directory).ok().map(Utf8Path::to_owned));
            }
        }
        let mut scripts: BTreeMap<Utf8PathBuf, Script> = BTreeMap::new();
        let mut files = Vec::new();
        while let Some(path) = wanted.pop() {
            if scripts.contains_key(&path) || !element.directory.join(&path).is_file() {
                continue;
            }
            let file = File::read(&element.directory, &path).map_err(|source| unreadable(&path, source))?;
            let script = script(&element.name, &file);
            if let Ok(source) = &script.source {
                wanted.extend(source.imports.iter().filter_map(|import| local(&import.path)));
            }
            files.push(file);
            scripts.insert(path, script);
        }
        Ok(Self {
            name: element.name.clone(),
            directory: element.directory.clone(),
            files,
            scripts: scripts.into_values().collect(),
            element: Ok(element.clone()),
            surroundings: Rc::default(),
        })
    }

    /// The script that `path` of an import means, when it is one of the element's own.
    pub fn imported(&self, path: &str) -> Option<&Script> {
        let path = local(path)?;
        self.scripts.iter().find(|script| script.path == path)
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Scripts that could be read, with what is in them.
    pub fn readable(&self) -> impl Iterator<Item = (&Script, &Source)> {
        self.scripts.iter().filter_map(|script| Some((script, script.source.as_ref().ok()?)))
    }

    /// It has a hook in Rhai.
    pub fn has_rhai_hooks(&self) -> bool {
        let is_hook = |script: &Script, source: &Source| match script.role {
            Role::Hook(_) => true,
            Role::Element => Phase::ALL.iter().any(|phase| source.function(&phase.function()).is_some()),
            _ => false,
        };
        self.readable().any(|(script, source)| is_hook(script, source))
    }
}

/// The path below the element's folder that an import of `./…` means.
fn local(import: &str) -> Option<Utf8PathBuf> {
    let relative = import.strip_prefix("./")?;
    // Components drop a `.` in the middle.
    Some(Utf8Path::new(&format!("{relative}.rhai")).components().collect())
}

fn script(element: &str, file: &File) -> Script {
    let role = match (file.phase(), file.path.as_str()) {
        (_, "element.rhai") => Role::Element,
        (Some(phase), _) => Role::Hook(phase),
        _ if file.is_in("tests") => Role::Test,
        _ => Role::Library,
    };
    let name = format!("{element}/{}", file.path);
    let source = match &file.text {
        Some(text) => syntax::read(&name, text).map_err(Box::new),
        None => Err(Box::new(Diagnostic::new("syntax", format!("{name} is no text")))),
    };
    let calls = source.as_ref().map(calls::read).unwrap_or_default();
    let mut functions: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for function in source.iter().flat_map(|source| &source.functions) {
        functions.entry(function.name.clone()).or_default().insert(function.parameters.len());
    }
    Script { path: file.path.clone(), role, source, calls, functions }
}

fn unreadable(path: &Utf8Path, source: std::io::Error) -> ElementError {
    ElementError::Read { path: path.into(), source }
}
