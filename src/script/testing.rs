//! Runs the tests of an element: functions `test_…` of its `tests/*.rhai`, each on a target in memory, once for every
//! distribution that the file names in `const DISTROS`.
//!
//! In: an element with its grants and default options. Out: for each test, how it ended. A call in the test file arranges
//! things and needs no permission; calls in the element's own files need what the element declares.
//! Not here: finding elements (`element/`), checks that need no test ([`super::derived`]), printing (`cli/`).

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::distribution::{self, Distribution};
use super::image::Test;
use super::run::Script;
use super::source;
use super::syntax::{self, LiteralValue, Source};
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::{Phase, PlannedElement};
use crate::target::Facts;
use crate::target::fake::FakeTarget;

/// An element whose tests shall run.
#[derive(Clone, Debug)]
pub struct TestedElement {
    /// The element with its grants and default options.
    pub element: PlannedElement,
    /// Variables that its tests start with: those that it sets for others itself (`environment`).
    pub variables: BTreeMap<String, String>,
    /// Its hooks in Rhai, in the order in which they run: phase, file, function.
    pub hooks: Vec<(Phase, Utf8PathBuf, String)>,
}

/// A test by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// `vim::install::test_writes_the_defaults`, with the distribution in brackets when the file names some.
    pub name: String,
    /// The file.
    pub file: Utf8PathBuf,
    /// The function.
    pub function: String,
    /// What the image is said to be.
    pub distribution: &'static Distribution,
}

/// What an element's tests say.
#[derive(Clone, Debug, Default)]
pub struct Tests {
    /// The tests, in the order of files and of lines in them. A file that cannot be loaded is one failed test.
    pub cases: Vec<Result<TestCase, (String, Diagnostic)>>,
    /// Every distribution that a file names, each once; debian when none is named.
    pub distributions: Vec<&'static Distribution>,
    /// Files with a function `arrange`, which prepares an image for the checks that need no test.
    pub arrangements: Vec<Utf8PathBuf>,
    /// Checks that need no test and that the author does not want (`const SKIP`).
    pub skipped: Vec<String>,
}

/// Facts that a test starts with.
pub fn facts(element: &PlannedElement) -> Facts {
    facts_on(element, &distribution::ALL[0])
}

/// Facts that a test starts with on a distribution.
pub fn facts_on(element: &PlannedElement, distribution: &Distribution) -> Facts {
    Facts {
        distribution: distribution.name.into(),
        family: distribution.family.into(),
        release: distribution.release.into(),
        arch: "amd64".into(),
        image_name: "image".into(),
        root_label: "cloudimg-rootfs".into(),
        boot_label: String::new(),
        elements: vec![element.name.clone()],
        variables: distribution.variables().into(),
    }
}

/// Facts that the tests of an element start with: also its own variables, which come before the distribution's.
pub fn facts_of(tested: &TestedElement, distribution: &Distribution) -> Facts {
    let mut facts = facts_on(&tested.element, distribution);
    facts.variables.extend(tested.variables.clone());
    facts
}

/// What the tests of an element are.
pub fn find(tested: &TestedElement) -> Tests {
    let element = &tested.element;
    let mut tests = Tests::default();
    let folder = element.directory.join("tests").read_dir_utf8();
    let entries = folder.into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<Utf8PathBuf> = entries.map(camino::Utf8DirEntry::into_path).collect();
    files.retain(|file| file.extension() == Some("rhai"));
    files.sort();
    for file in files {
        let prefix = format!("{}::{}", element.name, file.file_stem().unwrap_or_default());
        if let Err(diagnostic) = in_file(tested, &file, &prefix, &mut tests) {
            tests.cases.push(Err((prefix, *diagnostic)));
        }
    }
    if tests.distributions.is_empty() {
        tests.distributions.push(&distribution::ALL[0]);
    }
    tests
}

fn in_file(tested: &TestedElement, file: &Utf8Path, prefix: &str, tests: &mut Tests) -> Result<(), Box<Diagnostic>> {
    // It runs before it is read: errors of running are the better ones.
    load(tested, file, &distribution::ALL[0])?;
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let source = syntax::read(&source::name(&tested.element, file), &text)?;
    let named = distributions(&source)?;
    tests.skipped.extend(texts(&source, "SKIP")?.into_iter().map(|(name, _)| name));
    if source.function("arrange").is_some() {
        tests.arrangements.push(file.to_owned());
    }
    for distribution in &named {
        if !tests.distributions.contains(distribution) {
            tests.distributions.push(distribution);
        }
    }
    let functions = source.functions.iter().filter(|function| function.name.starts_with("test_"));
    for function in functions {
        let name = format!("{prefix}::{}", function.name);
        let case = |name: String, distribution| {
            Ok(TestCase { name, file: file.to_owned(), function: function.name.clone(), distribution })
        };
        match named.as_slice() {
            [] => tests.cases.push(case(name, &distribution::ALL[0])),
            some => tests.cases.extend(some.iter().map(|on| case(format!("{name} ({})", on.name), on))),
        }
    }
    Ok(())
}

/// The distributions of `const DISTROS`.
fn distributions(source: &Source) -> Result<Vec<&'static Distribution>, Box<Diagnostic>> {
    let mut found = Vec::new();
    for (name, span) in texts(source, "DISTROS")? {
        let known = distribution::find(&name)
            .map_err(|message| Box::new(source.diagnostic("test.distribution", message, span, "unknown")))?;
        found.push(known);
    }
    Ok(found)
}

/// The texts of a constant list, each with its place.
fn texts(source: &Source, name: &str) -> Result<Vec<(String, std::ops::Range<usize>)>, Box<Diagnostic>> {
    let Some(literal) = source.constant(name)? else { return Ok(Vec::new()) };
    let wrong = || {
        let message = format!("`{name}` must be a list of strings");
        Box::new(source.diagnostic("test.constant", message, literal.span.clone(), ""))
    };
    let LiteralValue::Array(items) = &literal.value else { return Err(wrong()) };
    let text = |item: &syntax::Literal| match &item.value {
        LiteralValue::String(text) => Ok((text.clone(), item.span.clone())),
        _ => Err(wrong()),
    };
    items.iter().map(text).collect()
}

/// Runs one test.
///
/// # Errors
/// Why it failed.
pub fn run(tested: &TestedElement, case: &TestCase) -> Result<(), Box<Diagnostic>> {
    load(tested, &case.file, case.distribution)?.call(&case.function).map_err(Box::new)
}

fn load(tested: &TestedElement, file: &Utf8Path, distribution: &Distribution) -> Result<Script, Box<Diagnostic>> {
    script(tested, file, distribution, &FakeTarget::new())
}

/// A test file, ready to be called on `target`.
///
/// # Errors
/// It cannot be read or compiled.
pub fn script(
    tested: &TestedElement,
    file: &Utf8Path,
    distribution: &Distribution,
    target: &FakeTarget,
) -> Result<Script, Box<Diagnostic>> {
    let element = &tested.element;
    let facts = facts_of(tested, distribution);
    let test = Test { source: source::name(element, file), target: target.clone() };
    Script::new(element, file, facts, Arc::new(target.clone()), &Events::none(), Some(test)).map_err(Box::new)
}
