//! Drafts of shell elements: all of upstream's can be ported, and a draft does to a tree what its shell hook does.

mod equal;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use kiln::diagnostic::Severity;
use kiln::element::{Catalog, Element, HookKind};
use kiln::lint::{Subject, run};
use kiln::plan::Phase;
use kiln::port::{Report, port};
use kiln::script::api;
use serde_json::Value;

use crate::support::{Sandbox, stderr, stdout, upstream_elements};

fn upstream() -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(upstream_elements()).unwrap()
}

/// Files below `folder`, by their paths in it.
fn files(folder: &Utf8Path) -> BTreeSet<String> {
    let all = walkdir(folder.as_std_path());
    all.into_iter().map(|path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()).collect()
}

fn walkdir(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            if path.file_name().unwrap() != "__pycache__" {
                found.extend(walkdir(&path));
            }
        } else {
            found.push(path);
        }
    }
    found
}

/// Every file of the element is in the draft, as it was or as what the report says.
fn nothing_is_lost(element: &Utf8Path, draft: &Utf8Path, report: &Report) {
    let accounted: BTreeSet<String> =
        report.files.iter().map(|file| file.path.clone()).filter(|path| !path.contains("__pycache__")).collect();
    assert_eq!(accounted, files(element), "{element}");
    for file in &report.files {
        assert!(draft.join(&file.becomes).symlink_metadata().is_ok(), "{draft}: {file:?}");
        if file.becomes == file.path && !element.join(&file.path).is_symlink() {
            assert_eq!(
                fs::read(element.join(&file.path)).unwrap(),
                fs::read(draft.join(&file.path)).unwrap(),
                "{file:?}"
            );
        }
    }
    for hook in &report.hooks {
        assert_eq!(hook.translated, hook.reasons.is_empty(), "{draft}: {hook:?}");
        let becomes = if hook.translated { format!("{}.rhai", hook.hook) } else { hook.hook.clone() };
        assert!(report.files.iter().any(|file| file.path == hook.hook && file.becomes == becomes), "{hook:?}");
    }
}

/// The same hooks in the same order, with the same metadata.
fn same_element(name: &str, element: &Element, draft: &Element) {
    let order = |element: &Element| -> Vec<(Phase, String)> {
        element.hooks.iter().map(|hook| (hook.phase, hook.key.clone())).collect()
    };
    assert_eq!(order(element), order(draft), "{name}");
    assert_eq!(element.depends, draft.depends, "{name}");
    assert_eq!(element.provides, draft.provides, "{name}");
    let wishes = |element: &Element| -> Vec<String> {
        let folder = element.directory.as_str();
        element.packages.iter().map(|wish| format!("{wish:?}").replace(folder, "")).collect()
    };
    assert_eq!(wishes(element), wishes(draft), "{name}");
    assert!(draft.summary.len() > 3, "{name}");
}

/// Verbs and functions of the library that a draft calls are there.
fn known_functions(name: &str, draft: &Element) {
    let verbs: BTreeSet<String> = api::module()
        .gen_fn_signatures_with_mapper(|name| name.into())
        .map(|signature: String| signature.split('(').next().unwrap().to_owned())
        .collect();
    for hook in &draft.hooks {
        let HookKind::Script { file, .. } = &hook.kind else { continue };
        let text = fs::read_to_string(file).unwrap();
        for (at, _) in text.match_indices("image.") {
            let verb: String = text[at + 6..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let called = text[at + 6 + verb.len()..].starts_with('(');
            assert!(!called || verbs.contains(&verb), "{name}: {file} calls {verb}");
        }
        for module in ["files", "variables"] {
            let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("stdlib/{module}.rhai"));
            let library = fs::read_to_string(library).unwrap();
            for (at, _) in text.match_indices(&format!("{module}::")) {
                let rest = &text[at + module.len() + 2..];
                let function: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                assert!(library.contains(&format!("fn {function}(")), "{name}: {file} calls {module}::{function}");
                assert!(text.contains(&format!("import \"std/{module}\" as {module};")), "{name}: {file}");
            }
        }
    }
}

/// Lint finds no error in a draft, and in its scripts nothing but that they ask which distribution this is, as their hooks did.
fn passes_lint(name: &str, draft: &Utf8Path) {
    for finding in run::check(&Subject::read(name, draft, &Rc::default()).unwrap()) {
        let script = finding.file.as_ref().is_some_and(|file| file.extension() == Some("rhai"));
        let fault = finding.rule.severity == Severity::Error || (script && finding.rule.name != "family-check");
        assert!(!fault, "{name}: {}", finding.diagnostic.render(false));
    }
}

/// What no draft can say: hooks that work on the machine that builds, or are programs rather than lists of changes.
const BEYOND: [&str; 23] = [
    "reach a Rhai hook",
    "on the host",
    "of the host",
    "folder of hooks",
    "hand files to each other",
    "block device",
    "beside the output",
    "hands to shell hooks only",
    "own surroundings",
    "who builds",
    "where it is set",
    "not a shell script",
    "no script that can be read",
    "a function",
    "`source`",
    "`.`",
    "`eval`",
    "`trap`",
    "the command `",
    "a command named by",
    "a `while` loop",
    "a subshell",
    "an array",
];

#[test]
fn every_element_of_upstream_ports_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let (elements, out) = (upstream(), Utf8PathBuf::from_path_buf(sandbox.path().join("out")).unwrap());
    let catalog = Catalog::new(&[], &elements).unwrap();
    let names: Vec<String> = catalog.names().filter(|name| *name != "__pycache__").map(str::to_owned).collect();
    assert_eq!(names.len(), 128);
    let (mut hooks, mut translated, mut inside, mut inside_translated, mut possible) = (0, 0, 0, 0, 0);
    for name in &names {
        let (folder, draft) = (elements.join(name), out.join(name));
        let report = port(name, &folder, &draft).unwrap_or_else(|error| panic!("{name}: {error}"));
        nothing_is_lost(&folder, &draft, &report);
        let (before, after) = (Element::load(name, &folder).unwrap(), Element::load(name, &draft).unwrap());
        same_element(name, &before, &after);
        known_functions(name, &after);
        passes_lint(name, &draft);
        for hook in &report.hooks {
            hooks += 1;
            translated += usize::from(hook.translated);
            let in_image = ["pre-install.d/", "install.d/", "post-install.d/", "finalise.d/"];
            if in_image.iter().any(|folder| hook.hook.starts_with(folder)) {
                inside += 1;
                inside_translated += usize::from(hook.translated);
            }
            let beyond = hook.reasons.iter().any(|kept| BEYOND.iter().any(|what| kept.reason.contains(what)));
            possible += usize::from(!beyond);
        }
    }
    println!("{translated} of {hooks} hooks translated; of those in the image {inside_translated} of {inside}");
    println!("{possible} hooks have nothing that is beyond a draft");
    assert_eq!(hooks, 219);
    // The figures that docs/porting.md names.
    assert_eq!((translated, inside, inside_translated, possible), (113, 140, 92, 128));
}

const HOOK: &str =
    "#!/bin/bash\nset -eu\n\n# Greets.\necho \"hello ${DIB_WHOM}\" > /etc/motd\nsystemctl enable greeter\n";
const DIFFICULT: &str = "#!/bin/bash\nset -eu\nwhile read -r line; do echo $line; done < /etc/motd\n";

fn greeter(sandbox: &Sandbox) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let elements = sandbox.element(
        "greeter",
        &[
            ("README.rst", "greeter\n=======\n\nGreets whoever logs in. And more.\n"),
            ("element-deps", "base\n"),
            ("environment.d/10-greeter", "export DIB_WHOM=${DIB_WHOM:-world}\n"),
            ("install.d/20-greeter", HOOK),
            ("install.d/30-difficult", DIFFICULT),
            ("package-installs.yaml", "greeter:\n"),
        ],
    );
    for hook in ["20-greeter", "30-difficult"] {
        let path = elements.join("greeter/install.d").join(hook);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    elements
}

#[test]
fn kiln_port_writes_a_draft_beside_the_elements_and_reports() {
    let sandbox = Sandbox::new();
    let elements = greeter(&sandbox);
    let output = sandbox.kiln(&["port", "./elements/greeter"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("greeter: 1 of 2 hooks translated"), "{said}");
    assert!(said.contains("install.d/30-difficult: stays a shell hook\n    line 3: a"), "{said}");
    let draft = elements.with_file_name("elements-ported").join("greeter");
    let manifest = fs::read_to_string(draft.join("element.rhai")).unwrap();
    let expected = "//! Greets whoever logs in\n\nconst ELEMENT = #{\n    summary: \"Greets whoever logs in\",\n    depends: [\"base\"],\n    permissions: [\"services\", \"write:/etc/motd\"],\n    environment: #{\n        DIB_WHOM: \"world\",\n    },\n};\n";
    assert_eq!(manifest, expected);
    let hook = fs::read_to_string(draft.join("install.d/20-greeter.rhai")).unwrap();
    let expected = "//! A draft of the shell hook `install.d/20-greeter`: read it, test it, then make it yours.\n\nfn install(image) {\n    // Greets.\n    image.write_file(\"/etc/motd\", \"hello \" + image.env(\"DIB_WHOM\") + \"\\n\");\n    image.enable_service(\"greeter\");\n}\n";
    assert_eq!(hook, expected);
    assert_eq!(fs::read_to_string(draft.join("install.d/30-difficult")).unwrap(), DIFFICULT);
    assert!(!draft.join("install.d/20-greeter").exists() && !draft.join("element-deps").exists());
    // A draft is never overwritten.
    let again = sandbox.kiln(&["port", "./elements/greeter"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("exists: move it away, or name another folder with --output"),
        "{}",
        stderr(&again)
    );
    let again = sandbox.kiln(&["port", "./elements-ported/greeter", "--output", "x"]).output().unwrap();
    assert!(stderr(&again).contains("it is no shell element"), "{}", stderr(&again));
}

#[test]
fn kiln_port_reports_in_json_too() {
    let sandbox = Sandbox::new();
    let elements = greeter(&sandbox);
    let words = ["port", "greeter", "--json", "--output", "out", "--elements-path", elements.to_str().unwrap()];
    let output = sandbox.kiln(&words).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["hooks"][0]["translated"], true);
    assert_eq!(report["hooks"][0]["reads"][0], "DIB_WHOM");
    assert_eq!(report["hooks"][1]["reasons"][0]["line"], 3);
    assert_eq!(report["files"].as_array().unwrap().len(), 6);
    assert!(sandbox.path().join("out/greeter/element.rhai").is_file());
    let missing = sandbox.kiln(&["port", "no-such-element"]).output().unwrap();
    assert!(stderr(&missing).contains("there is no element `no-such-element`"), "{}", stderr(&missing));
}
