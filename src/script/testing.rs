//! Runs the tests of an element: functions `test_…` of its `tests/*.rhai`, each on a target in memory.
//!
//! In: an element with its grants and default options. Out: for each test, how it ended. A call in the test file arranges
//! things and needs no permission; calls in the element's own files need what the element declares.
//! Not here: finding elements (`element/`), printing (`cli/`).

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::image::Test;
use super::run::Script;
use super::source;
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::PlannedElement;
use crate::target::Facts;
use crate::target::fake::FakeTarget;

/// An element whose tests shall run.
#[derive(Clone, Debug)]
pub struct TestedElement {
    /// The element with its grants and default options.
    pub element: PlannedElement,
    /// Variables that its tests start with: those that it sets for others itself (`environment`).
    pub variables: BTreeMap<String, String>,
}

/// A test by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// `vim::install::test_writes_the_defaults`.
    pub name: String,
    /// The file.
    pub file: Utf8PathBuf,
    /// The function.
    pub function: String,
}

/// Facts that a test starts with.
pub fn facts(element: &PlannedElement) -> Facts {
    Facts {
        distribution: "debian".into(),
        family: "debian".into(),
        release: "bookworm".into(),
        arch: "amd64".into(),
        image_name: "image".into(),
        root_label: "cloudimg-rootfs".into(),
        boot_label: String::new(),
        elements: vec![element.name.clone()],
        variables: BTreeMap::new(),
    }
}

/// The tests of an element, in the order of files and of lines in them. A file that cannot be loaded is one failed test.
pub fn find(tested: &TestedElement) -> Vec<Result<TestCase, (String, Diagnostic)>> {
    let element = &tested.element;
    let Ok(folder) = element.directory.join("tests").read_dir_utf8() else { return Vec::new() };
    let mut files: Vec<Utf8PathBuf> = folder.filter_map(Result::ok).map(|entry| entry.into_path()).collect();
    files.retain(|file| file.extension() == Some("rhai"));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let prefix = format!("{}::{}", element.name, file.file_stem().unwrap_or_default());
        let script = match load(tested, &file) {
            Ok(script) => script,
            Err(diagnostic) => {
                found.push(Err((prefix, *diagnostic)));
                continue;
            }
        };
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut functions: Vec<String> = script.functions().into_iter().map(|(name, _)| name).collect();
        functions.retain(|name| name.starts_with("test_"));
        functions.sort_by_key(|name| (text.find(&format!("fn {name}(")), name.clone()));
        found.extend(
            functions
                .into_iter()
                .map(|function| Ok(TestCase { name: format!("{prefix}::{function}"), file: file.clone(), function })),
        );
    }
    found
}

/// Runs one test.
///
/// # Errors
/// Why it failed.
pub fn run(tested: &TestedElement, case: &TestCase) -> Result<(), Box<Diagnostic>> {
    load(tested, &case.file)?.call(&case.function).map_err(Box::new)
}

fn load(tested: &TestedElement, file: &Utf8Path) -> Result<Script, Box<Diagnostic>> {
    let (element, target) = (&tested.element, FakeTarget::new());
    let test = Test { source: source::name(element, file), target: target.clone() };
    let facts = Facts { variables: tested.variables.clone(), ..facts(element) };
    Script::new(element, file, facts, Arc::new(target), &Events::none(), Some(test)).map_err(Box::new)
}
