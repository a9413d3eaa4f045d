//! kiln's own elements: documented, tested, without shell.

use std::fs;
use std::path::Path;

use crate::support::{Sandbox, stderr, stdout};

fn elements() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("elements");
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

#[test]
fn the_tests_of_kilns_own_elements_pass() {
    let sandbox = Sandbox::new();
    let output = sandbox.kiln(&["test"]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("0 failed"), "{}", stdout(&output));
}

#[test]
fn every_element_has_a_readme_and_each_script_has_tests() {
    for element in elements() {
        assert!(element.join("README.md").is_file(), "{} has no README.md", element.display());
        let script = fs::read_to_string(element.join("element.rhai")).unwrap_or_default();
        if script.lines().any(|line| line.starts_with("fn ")) {
            let tests = fs::read_dir(element.join("tests")).map_or(0, Iterator::count);
            assert!(tests > 0, "{} has no tests", element.display());
        }
    }
}

#[test]
fn no_element_holds_shell() {
    fn look(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path);
            } else {
                let content = fs::read(&path).unwrap();
                assert!(!content.starts_with(b"#!"), "{} is a shell script", path.display());
            }
        }
    }
    for element in elements() {
        look(&element);
    }
}
