//! The examples in the standard library's comments, executed: the reference cannot rot.

use std::sync::Arc;

use super::fixture::Fixture;
use super::image::Test;
use super::imports::LIBRARY;
use super::run::Script;
use super::{source, syntax, testing};
use crate::event::Events;

/// Every `rhai` block in these comment lines.
fn blocks(comments: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in comments {
        match (&mut block, line.trim()) {
            (None, "```rhai") => block = Some(String::new()),
            (Some(_), "```") => found.extend(block.take()),
            (Some(text), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// Runs an example as a test's own code, with every module imported that it names.
fn run(example: &str) -> Result<(), String> {
    let imports = LIBRARY.iter().filter(|(name, _)| example.contains(&format!("{name}::")));
    let imports: String = imports.map(|(name, _)| format!("import \"std/{name}\" as {name};\n")).collect();
    let fixture = Fixture::new(&["services", "users", "packages", "write:/", "run", "kernel-args", "disk"]);
    let fixture = fixture.file("tests/example.rhai", &format!("{imports}fn test_example(image) {{\n{example}}}\n"));
    let file = fixture.element.directory.join("tests/example.rhai");
    let test = Test { source: source::name(&fixture.element, &file), target: fixture.target.clone() };
    let (facts, target) = (testing::facts(&fixture.element), Arc::new(fixture.target.clone()));
    let script = Script::new(&fixture.element, &file, facts, target, &Events::none(), Some(test));
    script.and_then(|script| script.call("test_example")).map_err(|error| error.render(false))
}

#[test]
fn every_function_of_the_library_has_an_example_that_works() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (module, text) in LIBRARY {
        let source =
            syntax::read(&format!("std/{module}.rhai"), text).unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert!(text.starts_with("//! "), "std/{module} does not say what it is for");
        for function in
            source.functions.iter().filter(|function| !text.contains(&format!("private fn {}(", function.name)))
        {
            let examples = blocks(&function.comments);
            if examples.is_empty() {
                wrong.push(format!("std/{module}: `{}` has no example", function.name));
            }
            for example in examples {
                count += 1;
                assert!(
                    example.contains(&format!("{module}::{}(", function.name)),
                    "the example of {module}::{} calls another",
                    function.name
                );
                if let Err(error) = run(&example) {
                    wrong.push(format!("std/{module}::{}: {error}", function.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 60, "{count} examples");
}

#[test]
fn an_example_that_does_not_hold_is_noticed() {
    assert!(run("assert(image.exists(\"/none\"));\n").unwrap_err().contains("the assertion does not hold"));
    assert!(run("files::no_such(image);\n").is_err());
}
