//! The documents name all that there is, and their example works.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use kiln::plan::Phase;
use kiln::script::{api, permission};

use crate::support::{Sandbox, stderr, stdout};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Wants `document` to hold one of `spellings`.
fn names(document: &str, what: &str, spellings: &[String]) {
    let text = read(document);
    assert!(spellings.iter().any(|spelling| text.contains(spelling)), "{document} does not name {what}: {spellings:?}");
}

/// Wants `document` to have `name` in back-ticks.
fn quotes(document: &str, what: &str, name: &str) {
    names(document, &format!("the {what} {name}"), &[format!("`{name}`"), format!("`{name}:"), format!("`{name}\"")]);
}

/// The keys that kiln says there are, when it refuses a manifest with another one.
fn keys(manifest: &str) -> Vec<String> {
    let sandbox = Sandbox::new();
    let script = format!("const ELEMENT = {manifest};\n");
    let elements = sandbox.element("x", &[("element.rhai", script.as_str())]);
    let words = ["plan", "--elements-path", elements.to_str().unwrap(), "x", "debian-minimal"];
    let said = stderr(&sandbox.kiln(&words).output().unwrap());
    let known = said.split("its fields are ").nth(1).unwrap_or_else(|| panic!("no keys in:\n{said}"));
    let known = known.lines().next().unwrap_or_default();
    known.split(',').map(|key| key.trim().to_owned()).collect()
}

/// What stands between two quotes after each `start` in `text`, up to the end of the line.
fn quoted_after<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let ends = text.lines().filter_map(|line| line.split_once(start)).map(|(_, end)| end);
    ends.flat_map(|end| end.split('"').skip(1).step_by(2)).collect()
}

#[test]
fn every_built_in_stage_is_described() {
    for (name, _) in kiln::element::built_in::STAGES {
        quotes("docs/elements.md", "stage", &format!("\"{name}\""));
    }
}

#[test]
fn every_lint_rule_and_every_check_of_tests_is_described() {
    for rule in kiln::lint::rules::ALL {
        names("docs/elements.md", "the rule", &[format!("| `{}` ({}) |", rule.name, rule.severity)]);
    }
    for check in kiln::script::derived::Check::ALL {
        names("docs/elements.md", "the check", &[format!("`NAME::derived::{}`", check.name())]);
    }
}

#[test]
fn every_key_of_a_manifest_is_described() {
    for manifest in [
        "#{ summary: \"s\", nonsense: 1 }",
        "#{ summary: \"s\", options: #{ a: #{ nonsense: 1 } } }",
        "#{ summary: \"s\", system: #{ nonsense: 1 } }",
    ] {
        let keys = keys(manifest);
        assert!(keys.len() > 3, "{keys:?}");
        for key in keys {
            quotes("docs/elements.md", "key", &key);
        }
    }
}

#[test]
fn every_phase_and_permission_is_described() {
    for phase in Phase::ALL {
        quotes("docs/elements.md", "phase", &phase.function());
    }
    for name in permission::NAMES {
        quotes("docs/elements.md", "permission", name);
    }
}

#[test]
fn every_verb_is_described() {
    let mut verbs: BTreeSet<String> = BTreeSet::new();
    for module in [api::module(), api::test_module()] {
        let signatures: Vec<String> = module.gen_fn_signatures_with_mapper(|name| name.into()).collect();
        verbs.extend(signatures.iter().filter_map(|signature| signature.split('(').next()).map(str::to_owned));
    }
    // Getters have made-up names, and what prints a value is the language's own.
    verbs.retain(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'));
    verbs.retain(|name| name != "to_string" && name != "to_debug");
    assert!(verbs.len() > 40, "{verbs:?}");
    for verb in verbs {
        let spellings = [format!("`{verb}("), format!("`image.{verb}(")];
        names("docs/elements.md", &format!("the verb {verb}"), &spellings);
    }
}

#[test]
fn every_function_of_the_library_is_described() {
    let mut count = 0;
    for entry in fs::read_dir(project("stdlib")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        quotes("docs/reference.md", "module", &format!("std/{module}"));
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some((signature, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once(" {")) {
                count += 1;
                names("docs/reference.md", "the function", &[format!("\n{module}::{signature}\n")]);
                quotes("docs/elements.md", "module", &format!("std/{module}"));
            }
        }
    }
    assert!(count > 5, "{count} functions");
}

#[test]
fn every_option_of_a_verb_is_described() {
    let sandbox = Sandbox::new();
    for verb in ["build", "plan", "boot", "test", "audit"] {
        let help = stdout(&sandbox.kiln(&[verb, "--help"]).output().unwrap());
        // An option's own line begins with its names; words in its description do not count.
        let options: BTreeSet<&str> = help
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with('-'))
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
            .collect();
        assert!(options.len() > 3, "{verb}: {options:?}");
        for option in options {
            let spellings =
                [format!("`{option}`"), format!("`{option} "), format!("[{option}]"), format!("[{option} ")];
            names("docs/usage.md", &format!("{option} of `{verb}`"), &spellings);
        }
    }
}

#[test]
fn every_variable_is_described() {
    let usage = read("docs/usage.md");
    let mut variables: Vec<String> = Vec::new();
    // `("NAME", "meaning"),`
    variables.extend(quoted_after(&read("src/cli/variables.rs"), "    (").into_iter().step_by(2).map(str::to_owned));
    assert!(variables.iter().any(|name| name == "ELEMENTS_PATH"), "{variables:?}");
    for entry in fs::read_dir(project("elements")).unwrap() {
        let script = fs::read_to_string(entry.unwrap().path().join("element.rhai")).unwrap_or_default();
        variables.extend(quoted_after(&script, " env: ").into_iter().map(str::to_owned));
    }
    assert!(variables.iter().any(|name| name == "DIB_RELEASE"), "{variables:?}");
    for variable in variables {
        assert!(usage.contains(&format!("`{variable}`")), "docs/usage.md does not name the variable {variable}");
    }
}

fn example(words: &[&str]) -> Output {
    let elements = project("examples/web/elements");
    let mut all = words.to_vec();
    all.extend(["--elements-path", elements.to_str().unwrap(), "web-page"]);
    Sandbox::new().kiln(&all).output().unwrap()
}

#[test]
fn the_example_passes_its_tests() {
    let output = example(&["test"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("8 passed; 0 failed"), "{}", stdout(&output));
}

#[test]
fn the_example_can_be_planned() {
    let output = example(&["plan", "--option", "web-page.port=8080", "vm", "debian-minimal"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let plan = stdout(&output);
    assert!(plan.contains("web-page: element.rhai:install  [write:/etc/nginx"), "{plan}");
    assert!(plan.contains(" nginx"), "{plan}");
}

#[test]
fn the_reference_shows_the_example_as_it_is() {
    let reference = read("docs/elements.md");
    for file in ["element.rhai", "templates/site.conf"] {
        let text = read(&format!("examples/web/elements/web-page/{file}"));
        assert!(reference.contains(text.trim_end()), "docs/elements.md shows another {file}");
    }
}
