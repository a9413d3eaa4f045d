//! What the engine costs: little beside one process that a hook would start. `benches/engine` prints the figures of the release
//! build, for which the bounds are those that are promised.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::processor_time;
use super::fixture::Fixture;

/// The bound for the program as it is installed, and how many times as long it may take without optimisation.
fn bound(optimised: Duration, times: u32) -> Duration {
    if cfg!(debug_assertions) { optimised * times } else { optimised }
}

#[test]
fn a_hook_costs_less_than_a_millisecond_beside_what_its_verbs_do() {
    let text = "import \"std/files\" as files;\nfn install(image) { files::write_once(image, \"/etc/x\", \"1\"); }\n";
    let fixture = Fixture::new(&["write:/etc"]).file("element.rhai", text);
    fixture.install().unwrap();
    // The quickest of many: what else the machine does is not what a hook costs.
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            fixture.install().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("engine: a hook with one verb: {:?} at best, {:?} half the time", times[0], times[25]);
    assert!(times[0] < bound(Duration::from_millis(1), 5), "{:?}", times[0]);
}

#[test]
fn kilns_own_elements_are_loaded_in_a_tenth_of_a_second() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/elements")).unwrap();
    let mut files = Vec::new();
    for element in folder.map(|entry| entry.unwrap().path()) {
        for entry in walkdir::WalkDir::new(element).into_iter().filter_map(Result::ok) {
            if entry.path().extension().is_some_and(|extension| extension == "rhai") {
                files.push(entry.into_path());
            }
        }
    }
    assert!(files.len() > 20, "{files:?}");
    let target = Arc::new(crate::target::fake::FakeTarget::new());
    let begun = processor_time();
    for file in &files {
        let path = camino::Utf8Path::from_path(file).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        super::syntax::read(path.as_str(), &text).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let element = Fixture::new(&[]).element;
        let facts = super::testing::facts(&element);
        let test = file
            .components()
            .any(|part| part.as_os_str() == "tests")
            .then(|| super::image::Test { source: "test".into(), target: (*target).clone() });
        super::run::Script::new(&element, path, facts, target.clone(), &crate::event::Events::none(), test)
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
    let took = processor_time() - begun;
    println!("engine: {} files of kiln's own elements loaded: {took:?}", files.len());
    assert!(took < bound(Duration::from_millis(100), 2), "{took:?}");
}
