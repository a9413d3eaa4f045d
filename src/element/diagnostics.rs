//! What the author of a wrong element is told: message, place, advice.

use camino::Utf8Path;

use super::Element;

/// What is wrong, and the text of `element.rhai`.
const WRONG: [(&str, &str); 20] = [
    ("a misspelt key", "const ELEMENT = #{ sumary: \"s\" };\n"),
    ("no summary", "const ELEMENT = #{ depends: [] };\n"),
    ("a wrong type", "const ELEMENT = #{ summary: \"s\", depends: \"base\" };\n"),
    ("a wrong type in a list", "const ELEMENT = #{ summary: \"s\", depends: [1] };\n"),
    ("a misspelt permission", "const ELEMENT = #{ summary: \"s\", permissions: [\"pakages\"] };\n"),
    ("a permission without its path", "const ELEMENT = #{ summary: \"s\", permissions: [\"write\"] };\n"),
    ("a permission above the root", "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/etc/..\"] };\n"),
    (
        "a misspelt key of an option",
        "const ELEMENT = #{ summary: \"s\", options: #{ a: #{ typ: \"int\", help: \"h\" } } };\n",
    ),
    (
        "an unknown type of an option",
        "const ELEMENT = #{ summary: \"s\", options: #{ a: #{ type: \"number\", help: \"h\" } } };\n",
    ),
    (
        "a default of another type",
        "const ELEMENT = #{ summary: \"s\", options: #{ a: #{ type: \"int\", help: \"h\", default_value: \"x\" } } };\n",
    ),
    ("an unknown architecture", "const ELEMENT = #{ summary: \"s\", architectures: [\"x86_64\"] };\n"),
    ("arithmetic", "const ELEMENT = #{ summary: \"s\" + \"t\" };\n"),
    ("no manifest", "fn install(image) { }\n"),
    ("a misspelt phase", "const ELEMENT = #{ summary: \"s\" };\nfn instal(image) { }\n"),
    ("a phase without the image", "const ELEMENT = #{ summary: \"s\" };\nfn install() { }\n"),
    ("a phase with too much", "const ELEMENT = #{ summary: \"s\" };\nfn install(image, x) { }\n"),
    ("an order without its function", "const ELEMENT = #{ summary: \"s\", order: #{ install: \"10-x\" } };\n"),
    ("an unknown stage", "const ELEMENT = #{ summary: \"s\", built_in: #{ install: \"modprobes\" } };\n"),
    ("a statement", "const ELEMENT = #{ summary: \"s\" };\nprint(\"x\");\n"),
    ("a syntax error", "const ELEMENT = #{ summary: \"s\" };\nfn install(image) { let = 1; }\n"),
];

#[test]
fn every_mistake_in_a_manifest_is_told_with_its_place() {
    let mut said = String::new();
    for (what, text) in WRONG {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("element.rhai"), text).unwrap();
        let error = Element::load("x", Utf8Path::from_path(folder.path()).unwrap());
        let shown = match &error {
            Ok(_) => "nothing is said".to_owned(),
            Err(error) => error.diagnostic().map_or_else(|| error.to_string(), |diagnostic| diagnostic.render(false)),
        };
        said.push_str(&format!("== {what}\n{shown}\n\n"));
    }
    assert!(!said.contains("nothing is said"), "{said}");
    insta::assert_snapshot!("wrong_manifests", said);
}
