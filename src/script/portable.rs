//! One element that installs a service with a configuration file, a user and a unit, on seven distributions, unchanged.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;

use super::image::Test;
use super::run::Script;
use super::source;
use super::testing;
use crate::event::Events;
use crate::plan::PlannedElement;
use crate::target::Facts;
use crate::target::fake::FakeTarget;

/// Distribution, family, release.
const DISTRIBUTIONS: [(&str, &str, &str); 7] = [
    ("debian", "debian", "bookworm"),
    ("ubuntu", "debian", "noble"),
    ("fedora", "redhat", "42"),
    ("centos", "redhat", "9-stream"),
    ("opensuse", "suse", "15.6"),
    ("arch", "", "rolling"),
    ("alpine", "", "3.22"),
];

#[test]
fn the_example_service_passes_its_tests_on_seven_distributions_unchanged() {
    let folder = Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/service/elements/greeter"));
    let manifest =
        super::syntax::read("greeter/element.rhai", &std::fs::read_to_string(folder.join("element.rhai")).unwrap())
            .unwrap();
    let text = |name: &str| match &manifest.constant("ELEMENT").unwrap().unwrap().value {
        super::syntax::LiteralValue::Map(entries) => {
            entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value.clone())
        }
        _ => None,
    };
    let permissions = match text("permissions").unwrap().value {
        super::syntax::LiteralValue::Array(items) => items
            .into_iter()
            .filter_map(|item| match item.value {
                super::syntax::LiteralValue::String(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let element = PlannedElement {
        name: "greeter".into(),
        directory: folder.clone(),
        permissions,
        options: BTreeMap::from([("greeting".to_owned(), "hello".into())]),
    };
    let mut ran = 0;
    for (distribution, family, release) in DISTRIBUTIONS {
        let facts = Facts {
            distribution: distribution.into(),
            family: family.into(),
            release: release.into(),
            ..testing::facts(&element)
        };
        let file = folder.join("tests/install.rhai");
        for function in ["test_the_service_is_there_and_starts", "test_a_second_run_changes_nothing"] {
            let target = FakeTarget::new();
            let test = Test { source: source::name(&element, &file), target: target.clone() };
            let script = Script::new(&element, &file, facts.clone(), Arc::new(target), &Events::none(), Some(test));
            let ended = script.and_then(|script| script.call(function));
            ended.unwrap_or_else(|error| panic!("{distribution}: {}", error.render(false)));
            ran += 1;
        }
    }
    assert_eq!(ran, 14);
}
