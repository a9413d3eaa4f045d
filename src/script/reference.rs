//! Every function that a script can call, with parameters and documentation.
//!
//! In: what is registered, and the library's sources. Out: values that lint and documentation are made of. Read once.
//! Not here: pages (`reference/`), whether a call is right (`lint/`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::engine;
use super::imports::LIBRARY;
use super::syntax::calls::{self, Calls};
use super::syntax::registered::{Registered, registered};
use super::syntax::{self, Source};

/// Where a function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A verb, or what looks at an error of one.
    Verb,
    /// Only tests of elements have it.
    TestVerb,
    /// The language itself.
    Language,
}

/// A registered function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Names and types of its parameters, the image included.
    pub parameters: Vec<(String, String)>,
    /// The type of what it answers; empty when that is nothing.
    pub returns: String,
    /// Its documentation, without slashes.
    pub documentation: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A file of the library.
#[derive(Clone, Debug)]
pub struct Module {
    /// `services` of `std/services`.
    pub name: &'static str,
    /// What the head of the file says it is for.
    pub documentation: String,
    /// Its functions.
    pub source: Source,
    /// What they call.
    pub calls: Calls,
}

/// A file of the library, once it was asked for.
type Parsed = LazyLock<Option<Module>, Box<dyn FnOnce() -> Option<Module> + Send>>;

/// Everything there is.
#[derive(Default)]
pub struct Reference {
    /// Registered functions, sorted by name, then by number of parameters.
    pub functions: Vec<Function>,
    /// The library, sorted by name. A file is parsed when somebody asks for it: a plan asks for few.
    library: Vec<Parsed>,
    /// Numbers of arguments by name, for verbs and language.
    counts: BTreeMap<String, BTreeSet<usize>>,
    /// The same for the tests' own verbs.
    test_counts: BTreeMap<String, BTreeSet<usize>>,
}

/// Functions that the interpreter itself handles, with any number of arguments.
const BUILT_IN: [&str; 9] =
    ["Fn", "call", "curry", "debug", "is_def_fn", "is_def_var", "is_shared", "print", "type_of"];

/// Numbers of arguments that a name takes; `None` for any.
pub type Counts = Option<BTreeSet<usize>>;

static REFERENCE: LazyLock<Reference> = LazyLock::new(Reference::read);

/// Everything there is.
pub fn reference() -> &'static Reference {
    &REFERENCE
}

impl Reference {
    fn read() -> Self {
        let mut functions = Vec::new();
        let [verbs, tests, language] = engine::by_kind();
        for (engine, origin) in [(verbs, Origin::Verb), (tests, Origin::TestVerb), (language, Origin::Language)] {
            // Operators and getters are not called by name.
            let named = registered(&engine).into_iter().filter(|function| is_name(&function.name));
            functions.extend(named.map(|registered| function(registered, origin)));
        }
        functions.sort_by(|a, b| {
            (&a.name, a.parameters.len(), &a.parameters, a.origin).cmp(&(
                &b.name,
                b.parameters.len(),
                &b.parameters,
                b.origin,
            ))
        });
        let parsed = |(name, text): &'static (&str, &str)| -> Parsed { LazyLock::new(Box::new(|| module(name, text))) };
        let library = LIBRARY.iter().map(parsed).collect();
        let mut reference = Self { functions, library, ..Self::default() };
        for function in &reference.functions {
            let table = match function.origin {
                Origin::TestVerb => &mut reference.test_counts,
                _ => &mut reference.counts,
            };
            table.entry(function.name.clone()).or_default().insert(function.parameters.len());
        }
        reference
    }

    /// Numbers of arguments that the function `name` takes, `None` when there is none of this name. Only a test has the tests'
    /// own verbs.
    pub fn counts(&self, name: &str, in_test: bool) -> Option<Counts> {
        if BUILT_IN.contains(&name) {
            return Some(None);
        }
        let tests = self.test_counts.get(name).filter(|_| in_test);
        match (self.counts.get(name), tests) {
            (None, None) => None,
            (known, tests) => Some(Some(known.into_iter().chain(tests).flatten().copied().collect())),
        }
    }

    /// Every name that a call can have, sorted.
    pub fn names(&self, in_test: bool) -> impl Iterator<Item = &str> {
        let tests = self.test_counts.keys().filter(move |_| in_test);
        self.counts.keys().chain(tests).map(String::as_str).chain(BUILT_IN)
    }

    /// Names of verbs, sorted.
    pub fn verbs(&self, in_test: bool) -> impl Iterator<Item = &str> {
        let wanted = move |origin| origin == Origin::Verb || (in_test && origin == Origin::TestVerb);
        self.functions.iter().filter(move |function| wanted(function.origin)).map(|function| function.name.as_str())
    }

    /// The language has a function of this name that takes so many values.
    pub fn is_language(&self, name: &str, count: usize) -> bool {
        // Sorted by name.
        let from = self.functions.partition_point(|function| function.name.as_str() < name);
        let named = self.functions.iter().skip(from).take_while(|function| function.name == name);
        named.into_iter().any(|function| function.origin == Origin::Language && function.parameters.len() == count)
    }

    /// The file `std/NAME`.
    pub fn module(&self, name: &str) -> Option<&Module> {
        let at = LIBRARY.iter().position(|(known, _)| *known == name)?;
        self.library.get(at)?.as_ref()
    }

    /// The library, sorted by name.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.library.iter().filter_map(|module| module.as_ref())
    }

    /// Signatures of the functions called `name`, in an author's words.
    pub fn signatures(&self, name: &str) -> Vec<String> {
        self.functions.iter().filter(|function| function.name == name).map(Function::signature).collect()
    }
}

impl Function {
    /// `write_file(image, path: string, text: string)`.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .map(|(name, kind)| match (name.as_str(), kind.as_str()) {
                (name, "Image") => name.to_owned(),
                ("", kind) => kind.to_owned(),
                (name, kind) => format!("{name}: {kind}"),
            })
            .collect();
        let returns = if self.returns.is_empty() { String::new() } else { format!(" -> {}", self.returns) };
        format!("{}({}){returns}", self.name, parameters.join(", "))
    }

    /// It is called as `image.name(…)`.
    pub fn is_verb(&self) -> bool {
        self.parameters.first().is_some_and(|(_, kind)| kind == "Image")
    }
}

/// A file of the library, read. That it can be is tested.
fn module(name: &'static str, text: &str) -> Option<Module> {
    let source = syntax::read(&format!("std/{name}.rhai"), text).ok()?;
    let head = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect::<Vec<_>>();
    let calls = calls::read(&source);
    Some(Module { name, documentation: head.join("\n"), source, calls })
}

fn is_name(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn function(registered: Registered, origin: Origin) -> Function {
    let mut parameters: Vec<(String, String)> = registered
        .parameters
        .iter()
        .map(|parameter| {
            let (name, text) = parameter.split_once(':').unwrap_or((parameter, ""));
            let name = name.trim().trim_matches(['_', '?']);
            (name.to_owned(), if text.is_empty() { "any".to_owned() } else { kind(text) })
        })
        .collect();
    // The interpreter fills this one in.
    parameters.retain(|(_, kind)| !kind.starts_with("NativeCallContext"));
    parameters.resize(registered.count, (String::new(), "any".to_owned()));
    let lines = registered.comments.iter().flat_map(|block| block.lines());
    let lines: Vec<&str> = lines.map(|line| line.trim().trim_start_matches('/').trim_start()).collect();
    Function {
        name: registered.name,
        parameters,
        returns: kind(&registered.returns),
        documentation: lines.join("\n").trim().to_owned(),
        origin,
    }
}

/// A type in the words of a script's author; empty for nothing.
fn kind(text: &str) -> String {
    let text = text.replace(' ', "");
    let text = text.trim_start_matches("&mut").trim_start_matches('&');
    let inner = text.strip_prefix("RhaiResult<").or_else(|| text.strip_prefix("Result<")).unwrap_or(text);
    let inner = inner.split([',', '>']).next().unwrap_or(inner).trim();
    match inner.rsplit("::").next().unwrap_or(inner) {
        "" | "()" => String::new(),
        "str" | "String" | "ImmutableString" => "string".to_owned(),
        "i64" | "INT" => "int".to_owned(),
        "f64" | "FLOAT" => "float".to_owned(),
        "Array" => "array".to_owned(),
        "Map" => "map".to_owned(),
        "Dynamic" | "?" => "any".to_owned(),
        "FnPtr" => "function".to_owned(),
        "HostError" => "error".to_owned(),
        "Material" => "download".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_has_its_signature_and_its_words() {
        let write = reference().functions.iter().find(|function| function.name == "write_file").unwrap();
        assert_eq!(write.signature(), "write_file(image, path: string, text: string)");
        assert!(write.documentation.starts_with("Replaces the file at `path`"), "{}", write.documentation);
        assert!(write.is_verb());
        let version = reference().functions.iter().find(|function| function.name == "package_version").unwrap();
        assert_eq!(version.signature(), "package_version(image, name: string) -> any");
    }

    #[test]
    fn numbers_of_arguments_are_known_for_verbs_language_and_tests() {
        let counts = |name: &str, in_test| reference().counts(name, in_test);
        assert_eq!(counts("write_file", false), Some(Some([3, 4].into())));
        assert!(counts("len", false).unwrap().unwrap().contains(&1));
        assert!(counts("map", false).unwrap().unwrap().contains(&2));
        assert_eq!(counts("assert_eq", false), None);
        assert_eq!(counts("assert_eq", true), Some(Some([2].into())));
        assert_eq!(counts("print", false), Some(None));
        assert_eq!(counts("instal_packages", false), None);
    }

    #[test]
    fn every_file_of_the_library_is_read_and_says_what_it_is_for() {
        assert_eq!(reference().modules().count(), LIBRARY.len());
        for module in reference().modules() {
            assert!(!module.documentation.is_empty() && !module.source.functions.is_empty(), "{}", module.name);
        }
    }
}
