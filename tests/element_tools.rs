//! Tools for authors of elements: effects, tests, a new element, the reference, a conversation.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Sandbox, stderr, stdout};

/// An element with a package, a user, a settings file and a service; its tests name seven distributions.
const SERVICE: [(&str, &str); 3] = [
    (
        "element.rhai",
        "//! A service.\n\nimport \"std/packages\" as packages;\n\nconst ELEMENT = #{\n    summary: \"a service\",\n    permissions: [\"packages\", \"users\", \"services\", \"write:/etc/hello\"],\n};\n\n/// Installs it.\nfn install(image) {\n    packages::ensure(image, [\"curl\"]);\n    image.add_user(\"hello\", #{ system: true });\n    image.write_file(\"/etc/hello/hello.conf\", \"port = 80\\n\", #{ mode: 0o640 });\n    image.write_unit(\"hello\", #{ command: [\"/bin/true\"] });\n    image.enable_service(\"hello\");\n}\n",
    ),
    (
        "tests/install.rhai",
        "import \"./element\" as hello;\n\nconst DISTROS = [\"debian\", \"ubuntu\", \"fedora\", \"centos\", \"opensuse\", \"arch\", \"alpine\"];\n\nfn test_everything_is_there(image) {\n    hello::install(image);\n    assert(image.package_version(\"curl\") != ());\n    assert_eq(image.read_file(\"/etc/hello/hello.conf\"), \"port = 80\\n\");\n    let verbs = image.effects().map(|effect| effect.verb);\n    assert(\"enable_service\" in verbs && \"add_user\" in verbs);\n}\n",
    ),
    ("README.md", "# hello\n"),
];

fn service(sandbox: &Sandbox) -> String {
    sandbox.element("hello", &SERVICE).to_str().unwrap().to_owned()
}

#[test]
fn the_effects_of_every_rhai_hook_are_printed_in_the_order_of_the_plan() {
    let sandbox = Sandbox::new();
    let elements = service(&sandbox);
    let words = ["plan", "--effects", "--json", "--elements-path", &elements, "hello", "debian-minimal"];
    let output = sandbox.kiln(&words).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let effects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for effect in &effects {
        let mut keys: Vec<&String> = effect.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["args", "element", "file", "line", "phase", "verb"]);
    }
    let mine: Vec<&Value> = effects.iter().filter(|effect| effect["element"] == "hello").collect();
    let verbs: Vec<&str> = mine.iter().map(|effect| effect["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["install_packages", "add_user", "write_file", "write_unit", "enable_service"]);
    assert_eq!((mine[2]["phase"].as_str(), mine[2]["line"].as_u64()), (Some("install"), Some(14)));
    assert_eq!(mine[2]["file"], "hello/element.rhai");
    assert_eq!(mine[2]["args"][0], "/etc/hello/hello.conf");
    assert_eq!(mine[0]["file"], "std/packages.rhai");
    let place = |phase: &str| effects.iter().position(|effect| effect["phase"] == phase).unwrap();
    assert!(place("pre-install") < place("install") && place("install") < place("finalise"));
    let text = stdout(&sandbox.kiln(&["plan", "--effects", "--elements-path", &elements, "hello"]).output().unwrap());
    assert!(text.contains("\ninstall\n") && text.contains("  hello: write_file(\"/etc/hello/hello.conf\","), "{text}");
}

#[test]
fn effects_can_be_seen_for_each_distribution_with_and_without_an_operating_system() {
    let sandbox = Sandbox::new();
    let elements = sandbox.element(
        "who",
        &[
            (
                "element.rhai",
                "const ELEMENT = #{ summary: \"s\", depends: [\"package-installs\"], permissions: [\"write:/etc/who\"] };\nfn install(image) {\n    let there = image.package_version(\"vim-real\") != ();\n    image.write_file(\"/etc/who\", `${image.distro()} ${image.family()} ${there}`);\n}\n",
            ),
            ("package-installs.yaml", "vim:\n"),
            ("pkg-map", "{\"family\": {\"redhat\": {\"vim\": \"vim-real\"}}}"),
        ],
    );
    let says = |words: &[&str]| {
        let mut all = vec!["plan", "--effects", "--json", "--elements-path", elements.to_str().unwrap()];
        all.extend(words);
        let output = sandbox.kiln(&all).output().unwrap();
        let effects: Vec<Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let who = effects.iter().find(|effect| effect["args"][0] == "/etc/who");
        who.unwrap_or_else(|| panic!("{}", stderr(&output)))["args"][1].as_str().unwrap().to_owned()
    };
    for (distro, family) in [
        ("debian", "debian false"),
        ("ubuntu", "debian false"),
        ("fedora", "redhat true"),
        ("centos", "redhat true"),
        ("opensuse", "suse false"),
        ("arch", "arch false"),
        ("alpine", "alpine false"),
        ("gentoo", "gentoo false"),
    ] {
        assert_eq!(says(&["who", "--distro", distro]), format!("{distro} {family}"));
        assert_eq!(says(&["who", "debian-minimal", "--distro", distro]), format!("{distro} {family}"));
    }
    assert_eq!(says(&["who"]), "debian debian false");
    let output = sandbox.kiln(&["plan", "--effects", "--distro", "fedroa", "base"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `fedora`?"), "{}", stderr(&output));
}

#[test]
fn a_hook_that_fails_is_shown_and_the_effects_before_it_are_printed() {
    let sandbox = Sandbox::new();
    let code = "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/etc/x\"] };\nfn install(image) {\n    image.write_file(\"/etc/x\", \"\");\n    image.fail(\"no disk\");\n}\n";
    let elements = sandbox.element("bad", &[("element.rhai", code)]);
    let words = ["plan", "--effects", "--json", "--elements-path", elements.to_str().unwrap(), "bad"];
    let output = sandbox.kiln(&words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error[element.failed]: no disk\n --> bad/element.rhai:4:11"),
        "{}",
        stderr(&output)
    );
    let effects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(effects.iter().any(|effect| effect["args"][0] == "/etc/x"));
}

fn test(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.kiln(&[&["test"], words].concat()).output().unwrap()
}

#[test]
fn one_element_passes_its_tests_on_seven_distributions_unchanged() {
    let sandbox = Sandbox::new();
    let elements = service(&sandbox);
    let output = test(&sandbox, &["--elements-path", &elements, "hello"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    for distro in ["debian", "ubuntu", "fedora", "centos", "opensuse", "arch", "alpine"] {
        for name in ["install::test_everything_is_there", "derived::runs_twice", "derived::is_repeatable"] {
            assert!(text.contains(&format!("test hello::{name} ({distro}) ... ok")), "{text}");
        }
    }
    let one = test(&sandbox, &["--elements-path", &elements, "hello", "alpine"]);
    assert!(stdout(&one).starts_with("running 4 tests\n"), "{}", stdout(&one));
    let none = test(&sandbox, &["--elements-path", &elements, "hello", "helo"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("`helo` is no element, and no test's name contains it"), "{}", stderr(&none));
}

#[test]
fn effects_are_recorded_and_compared() {
    let sandbox = Sandbox::new();
    let elements = service(&sandbox);
    let words = ["--elements-path", &elements, "hello"];
    assert!(test(&sandbox, &[&words[..], &["--bless"]].concat()).status.success());
    let record = Path::new(&elements).join("hello/tests/effects.arch.txt");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.starts_with("install: install_packages([\"curl\"])\ninstall: add_user(\"hello\""), "{text}");
    assert!(test(&sandbox, &words).status.success());
    fs::write(&record, text.replace("80", "81")).unwrap();
    let output = test(&sandbox, &words);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("test hello::derived::effects (arch) ... FAILED"), "{}", stdout(&output));
}

#[test]
fn a_new_element_passes_lint_and_tests_in_either_language() {
    let sandbox = Sandbox::new();
    for (name, word) in [("one", "--rhai"), ("two-b", "--shell"), ("three", "--folder=elements")] {
        let made = sandbox.kiln(&["new", "element", name, word]).output().unwrap();
        assert!(made.status.success(), "{}", stderr(&made));
    }
    let lint = sandbox.kiln(&["lint", "--deny", "warnings", "elements"]).output().unwrap();
    assert!(lint.status.success(), "{}", stdout(&lint));
    assert!(stdout(&lint).ends_with("0 errors and 0 warnings in 3 elements\n"), "{}", stdout(&lint));
    let output = test(&sandbox, &["--elements-path", "elements", "one", "two-b", "three"]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).contains("test one::install::test_the_greeting_is_written (fedora) ... ok"));
    let again = sandbox.kiln(&["new", "element", "one"]).output().unwrap();
    assert!(stderr(&again).contains("elements/one is there already"), "{}", stderr(&again));
    let bad = sandbox.kiln(&["new", "element", "../x"]).output().unwrap();
    assert!(stderr(&bad).contains("is no name of an element"), "{}", stderr(&bad));
}

#[test]
fn the_reference_in_the_docs_is_what_kiln_prints() {
    let sandbox = Sandbox::new();
    let printed = stdout(&sandbox.kiln(&["docs"]).output().unwrap());
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md")).unwrap();
    assert!(printed == committed, "docs/reference.md is not what `kiln docs` prints: kiln docs > docs/reference.md");
    let html = stdout(&sandbox.kiln(&["docs", "--html"]).output().unwrap());
    assert!(html.starts_with("<!DOCTYPE html>") && !html.contains("http://") && !html.contains(" src="), "{html}");
    assert_eq!(html.matches("<h4").count(), printed.matches("\n#### ").count());
    let output = sandbox.kiln(&["docs", "definitions", "editor"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let verbs = fs::read_to_string(sandbox.path().join("editor/kiln.d.rhai")).unwrap();
    assert!(verbs.contains("fn write_file(image: Image, path: String, text: String) -> ();"));
    assert!(sandbox.path().join("editor/std/services.d.rhai").is_file());
}

#[test]
fn a_conversation_has_the_elements_permissions_and_shows_effects() {
    let sandbox = Sandbox::new();
    let elements = service(&sandbox);
    let mut command: Command = sandbox.kiln(&["repl", "--elements-path", &elements, "--element", "hello"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = "let x = 6;\nfn twice(n) {\n    n * 2\n}\ntwice(x) + 30\nimage.write_file(\"/etc/hello/a\", \"b\")\nimage.write_file(\"/etc/other\", \"\")\n:effects\n:reset\n:effects\nimage.exists(\"/etc/hello/a\")\n:quit\n";
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    assert!(text.contains("42\n"), "{text}");
    assert!(text.contains("`write_file` needs the permission `write:/etc/other`"), "{text}");
    assert_eq!(text.matches("* write_file(\"/etc/hello/a\", \"b\")").count(), 2, "{text}");
    assert!(text.contains("false\n"), "{text}");
}
