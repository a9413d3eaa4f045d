//! Upstream's elements, unmodified: all are read, all fit together, and the packages that they ask for are those that
//! diskimage-builder finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use kiln::element::packages::{self, PackageFacts};
use kiln::element::{Catalog, Element, pkg_map, resolve, settings};
use kiln::plan::{self, Plan};
use kiln::request::Request;
use serde_json::{Value, json};

use crate::support::{Sandbox, stderr, stdout, upstream_elements};

/// Digests of what upstream's tool says of each case of [`cases`]: recorded, for machines whose python has no YAML.
const RECORDED: &str = "tests/data/upstream-packages.json";

fn upstream() -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(upstream_elements()).unwrap()
}

fn catalog() -> Catalog {
    Catalog::new(&[], &upstream()).unwrap()
}

fn names(catalog: &Catalog) -> Vec<String> {
    // python leaves its folder beside the elements
    catalog.names().filter(|name| *name != "__pycache__").map(str::to_owned).collect()
}

fn image(catalog: &Catalog, elements: &[&str], arch: &str) -> Result<Vec<Element>, String> {
    let elements = elements.iter().map(|name| (*name).to_owned()).collect();
    let request = Request { elements, arch: arch.into(), ..Request::default() };
    resolve(&request, catalog).map_err(|error| error.to_string())
}

/// `element` with `system`; alone when it brings another operating system.
fn with_system(catalog: &Catalog, element: &str, system: &str, arch: &str) -> Result<Vec<Element>, String> {
    match image(catalog, &[system, element], arch) {
        Err(text) if text.starts_with("operating-system: already provided by") => image(catalog, &[element], arch),
        other => other,
    }
}

#[test]
fn every_element_of_upstream_can_be_read() {
    let catalog = catalog();
    let names = names(&catalog);
    assert_eq!(names.len(), 128);
    let mut hooks = 0;
    for name in &names {
        let element = catalog.load(name).unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        hooks += element.hooks.len();
        assert!(element.warnings.is_empty(), "{:?}", element.warnings);
    }
    assert_eq!(hooks, 219);
}

#[test]
fn every_element_of_upstream_fits_an_operating_system() {
    let catalog = catalog();
    for name in names(&catalog) {
        match with_system(&catalog, &name, "debian-minimal", "amd64") {
            Ok(elements) => {
                assert_ne!(name, "deploy-kexec");
                let again = with_system(&catalog, &name, "debian-minimal", "amd64").unwrap();
                assert_eq!(elements, again, "{name}");
            }
            Err(text) => {
                assert_eq!(name, "deploy-kexec", "{text}");
                assert!(
                    text.starts_with("Element 'deploy' not found (element 'deploy-kexec' depends on it)"),
                    "{text}"
                );
            }
        }
    }
}

/// Systems to try an element with: those that share a tool with it exclude each other.
const FITTING: [&str; 7] =
    ["debian-minimal", "fedora-minimal", "centos-minimal", "opensuse-minimal", "gentoo", "ubuntu-minimal", "rhel"];

/// The plan of an image with `element`, on the first system that it goes with.
fn planned(catalog: &Catalog, element: &str) -> Result<(Vec<Element>, Plan), String> {
    let mut refused = String::new();
    for system in FITTING {
        let attempt = with_system(catalog, element, system, "amd64").and_then(|elements| {
            let request = Request { arch: "amd64".into(), output: "/tmp/image".into(), ..Request::default() };
            let settings = settings(&request, &elements).map_err(|error| error.to_string())?;
            let plan = plan::assemble(&request, &elements, &settings, None).map_err(|error| error.to_string())?;
            Ok((elements, plan))
        });
        match attempt {
            Ok(found) => return Ok(found),
            Err(text) => refused += &format!("{system}: {text}\n"),
        }
    }
    Err(refused)
}

#[test]
fn every_element_of_upstream_is_planned_and_each_of_its_hooks_has_a_place_and_a_reader() {
    let catalog = catalog();
    let mut hooks = 0;
    for name in names(&catalog).iter().filter(|name| *name != "deploy-kexec") {
        let (elements, plan) = planned(&catalog, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = plan::explain::text(&plan);
        let element = elements.iter().find(|element| element.name == *name);
        // An element may stand for another one: then its own hooks are not in the image.
        for hook in element.iter().flat_map(|element| &element.hooks) {
            let place = match hook.phase.as_str() {
                "pre-install" | "install" | "post-install" | "finalise" => "in the image",
                _ => "on the host's side",
            };
            let line = format!("  {name}: {}/{} {place}, read by ", hook.phase.directory(), hook.key);
            let read = text.lines().find_map(|found| found.strip_prefix(&line));
            let known = ["/bin/bash", "/bin/sh", "python3", "openrc-run"];
            assert!(
                read.is_some_and(|read| known.iter().any(|name| read.contains(name))),
                "`{line}` is not in:\n{text}"
            );
            hooks += 1;
        }
    }
    assert_eq!(hooks, 219);
}

fn has_yaml() -> bool {
    Command::new("python3").args(["-c", "import yaml"]).output().is_ok_and(|ran| ran.status.success())
}

/// What upstream makes of each list of names: the elements of the image, or nothing when it refuses. Its answer depends on the
/// order in which python walks a set, so each list is asked about with several seeds. `None` when python has no YAML.
fn expanded(lists: &[String], elements: &Utf8Path) -> Option<Vec<Vec<Vec<String>>>> {
    const DRIVER: &str = "
import json, logging, sys
from diskimage_builder import element_dependencies
logging.disable(logging.CRITICAL)
known = element_dependencies._find_all_elements(sys.argv[1])
found = []
for names in json.load(sys.stdin):
    try:
        found.append(sorted(e.name for e in element_dependencies._expand_element_dependencies(names.split(), known)))
    except Exception:
        found.append([])
json.dump(found, sys.stdout)
";
    if !has_yaml() {
        return None;
    }
    let sandbox = Sandbox::new();
    let input = sandbox.path().join("lists");
    fs::write(&input, serde_json::to_vec(lists).unwrap()).unwrap();
    let mut answers = vec![Vec::new(); lists.len()];
    for seed in ["1", "2", "3"] {
        let output = Command::new("python3")
            .args(["-c", DRIVER, elements.as_str()])
            .env("PYTHONPATH", elements.parent().unwrap().parent().unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONHASHSEED", seed)
            .stdin(fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let found: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
        for (answer, found) in answers.iter_mut().zip(found) {
            answer.push(found);
        }
    }
    Some(answers)
}

#[test]
fn every_request_that_upstream_can_satisfy_gets_the_same_elements() {
    let catalog = catalog();
    let mut lists = Vec::new();
    for system in ["debian-minimal", "ubuntu-minimal", "fedora", "rhel"] {
        for name in names(&catalog) {
            lists.push(format!("{system} {name}"));
            lists.push(format!("vm block-device-efi {name} {system} cloud-init"));
        }
    }
    let Some(answers) = expanded(&lists, &upstream()) else { return };
    let mut satisfied = 0;
    for (list, answers) in lists.iter().zip(answers) {
        let wanted = list.split(' ').map(str::to_owned).collect();
        let request = Request { elements: wanted, arch: "amd64".into(), skip_base: true, ..Request::default() };
        let found = resolve(&request, &catalog).map(|elements| {
            let mut names: Vec<String> = elements.into_iter().map(|element| element.name).collect();
            names.sort();
            names
        });
        for answer in answers.iter().filter(|answer| !answer.is_empty()) {
            assert_eq!(found.as_ref().unwrap_or_else(|error| panic!("{list}: {error}")), answer, "{list}");
            satisfied += 1;
        }
    }
    assert!(satisfied > 1000, "{satisfied}");
}

/// Systems with what hooks' `environment.d` says of them.
const SYSTEMS: [(&str, &str, &str, &str); 7] = [
    ("debian-minimal", "debian", "bookworm", "amd64"),
    ("ubuntu-minimal", "ubuntu", "jammy", "arm64"),
    ("fedora", "fedora", "40", "amd64"),
    ("centos-minimal", "centos", "9-stream", "amd64"),
    ("rocky-container", "rocky", "9", "amd64"),
    ("opensuse-minimal", "opensuse", "15.6", "amd64"),
    ("gentoo", "gentoo", "default/linux/amd64/17.1", "amd64"),
];

fn facts(distribution: &str, release: &str, arch: &str) -> PackageFacts {
    let variables = [
        ("DISTRO_NAME", distribution),
        ("DIB_RELEASE", release),
        ("ARCH", arch),
        ("DIB_PYTHON_VERSION", "3"),
        ("DIB_INIT_SYSTEM", "systemd"),
        ("DIB_UBUNTU_KERNEL", "linux-image-generic"),
        ("DIB_SIMPLE_INIT_NETWORKMANAGER", "0"),
        ("DIB_INSTALLTYPE_simple_init", "package"),
    ];
    PackageFacts {
        distribution: distribution.into(),
        family: pkg_map::family_of(distribution).unwrap_or_default().into(),
        release: release.into(),
        arch: arch.into(),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// Each element that asks for packages and fits a system, with the elements of the image and what conditions look at.
fn cases(catalog: &Catalog) -> Vec<(String, Vec<Element>, PackageFacts)> {
    let asks = |name: &String| !catalog.load(name).unwrap().unwrap().packages.is_empty();
    let asking: Vec<String> = names(catalog).into_iter().filter(asks).collect();
    let mut cases = Vec::new();
    for (system, distribution, release, arch) in SYSTEMS {
        for name in &asking {
            if let Ok(elements) = image(catalog, &[system, name], arch) {
                cases.push((format!("{system} {name}"), elements, facts(distribution, release, arch)));
            }
        }
    }
    cases
}

/// Upstream's tool, which is among its `elements`, on every case, in one process. `None` when python has no YAML.
fn squashed(
    cases: &[(&str, &[Element], &PackageFacts)],
    elements: &Utf8Path,
    search_path: &[&Utf8Path],
) -> Option<Value> {
    const DRIVER: &str = "
import json, os, runpy, sys
tool, path, out = sys.argv[1:4]
found = {}
for name, elements, variables in json.load(sys.stdin):
    os.environ.update(variables)
    sys.argv = [tool, '--elements', elements, '--path', path, out]
    runpy.run_path(tool, run_name='__main__')
    found[name] = json.load(open(out))
json.dump(found, sys.stdout)
";
    if !has_yaml() {
        return None;
    }
    let sandbox = Sandbox::new();
    let search_path = search_path.iter().map(|entry| entry.as_str()).collect::<Vec<_>>().join(":");
    let given: Vec<Value> = cases
        .iter()
        .map(|(name, elements, facts)| {
            let names: Vec<&str> = elements.iter().map(|element| element.name.as_str()).collect();
            json!([name, names.join(" "), facts.variables])
        })
        .collect();
    let (input, out) = (sandbox.path().join("cases"), sandbox.path().join("out"));
    fs::write(&input, serde_json::to_vec(&given).unwrap()).unwrap();
    let output = Command::new("python3")
        .args(["-c", DRIVER, elements.join("package-installs/bin/package-installs-squash").as_str(), &search_path])
        .arg(&out)
        .env("PYTHONPATH", elements.parent().unwrap().parent().unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

type Lists = BTreeMap<String, Vec<(String, String)>>;

/// Phase, install or uninstall, sorted pairs without repetition: neither order nor repetition means anything to apt or to DIB's
/// own `package-installs-v2`. What is empty is left out.
fn ordered(value: &Value) -> Lists {
    let mut lists = Lists::new();
    for (phase, both) in value.as_object().unwrap() {
        for (what, list) in both.as_object().unwrap() {
            let mut pairs: Vec<(String, String)> = serde_json::from_value(list.clone()).unwrap();
            pairs.sort();
            pairs.dedup();
            if !pairs.is_empty() {
                lists.insert(format!("{phase} {what}"), pairs);
            }
        }
    }
    lists
}

#[test]
fn packages_are_those_that_upstreams_tool_finds() {
    let (catalog, elements) = (catalog(), upstream());
    let cases = cases(&catalog);
    assert!(cases.len() > 300, "{}", cases.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED);
    let given: Vec<_> = cases.iter().map(|(name, elements, facts)| (name.as_str(), &elements[..], facts)).collect();
    let live = squashed(&given, &elements, &[&elements]);
    if let (Some(live), Some(_)) = (&live, std::env::var_os("KILN_RECORD")) {
        let digests: BTreeMap<&String, String> =
            live.as_object().unwrap().iter().map(|(name, value)| (name, digest(&ordered(value)))).collect();
        fs::write(&path, serde_json::to_string_pretty(&digests).unwrap() + "\n").unwrap();
    }
    let recorded: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (name, elements, facts) in &cases {
        let lists = lists(elements, facts);
        if let Some(live) = &live {
            assert_eq!(lists, ordered(&live[name]), "{name}");
        }
        let help = "with PyYAML this test shows the difference; KILN_RECORD=1 records anew what upstream's tool says";
        assert_eq!(Some(&digest(&lists)), recorded.get(name), "{name}: {lists:?} is not what {RECORDED} has; {help}");
    }
}

/// What kiln finds.
fn lists(elements: &[Element], facts: &PackageFacts) -> Lists {
    let found = packages::resolve(elements, facts).unwrap();
    let mut lists = Lists::new();
    for (phase, both) in found {
        for (what, list) in [("install", both.install), ("uninstall", both.uninstall)] {
            let mut pairs: Vec<_> = list.into_iter().map(|package| (package.name, package.element)).collect();
            pairs.sort();
            if !pairs.is_empty() {
                lists.insert(format!("{} {what}", phase.directory()), pairs);
            }
        }
    }
    lists
}

fn digest(lists: &Lists) -> String {
    blake3::hash(&serde_json::to_vec(lists).unwrap()).to_hex()[..16].to_owned()
}

/// Elements whose files have every oddity, and one that overrides another.
const ODD: &[(&str, &str)] = &[
    ("one/os/element-provides", "operating-system\n"),
    ("one/os/package-installs.yaml", "a:\nb: {build-only: true}\nc: {uninstall: true}\nempty: []\nnone: ''\n"),
    ("two/os/package-installs.yaml", "overridden:\nc:\n"),
    ("one/x/element-deps", "os\n"),
    (
        "one/x/package-installs.yaml",
        "a: {build-only: false}\nb:\n  - arch: arm64\nc: [{uninstall: true}, {build-only: true}]\nd: {uninstall: false}\n\
         e: {arch: 'arm64, amd64'}\nf: {arch: 'amd64,arm64'}\ng: {not-arch: 'arm64, amd64'}\n\
         h: {dib_python_version: 3}\ni: {dib_python_version: 2}\nj: {installtype: package}\nk: {installtype: source}\n\
         l: {when: [ARCH = amd64, 'DISTRO_NAME != fedora']}\nm: {when: ARCH != amd64}\nn: {phase: pre-install.d}\n",
    ),
    ("one/x/package-installs.json", "{\"o\": null, \"p\": [{\"phase\": \"post-install.d\", \"build-only\": \"x\"}]}"),
    (
        "one/y/package-installs.yaml",
        "p: {phase: post-install.d, uninstall: true}\nk: {uninstall: true}\nn: {build-only: 1}\n",
    ),
];

#[test]
fn strict_reading_is_that_of_upstreams_tool_down_to_its_oddities() {
    let sandbox = Sandbox::new();
    let root = Utf8PathBuf::from_path_buf(sandbox.path().to_owned()).unwrap();
    for (path, text) in ODD {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    let (one, two) = (root.join("one"), root.join("two"));
    let catalog = Catalog::strict(std::slice::from_ref(&one), &two).unwrap();
    let facts = facts("debian", "bookworm", "amd64");
    for wanted in [&["os", "x", "y"][..], &["os", "y"], &["os", "x"]] {
        let elements = wanted.iter().map(|name| (*name).to_owned()).collect();
        let request = Request { elements, arch: "amd64".into(), skip_base: true, ..Request::default() };
        let elements = resolve(&request, &catalog).unwrap();
        let Some(live) = squashed(&[("case", &elements, &facts)], &upstream(), &[&one, &two]) else { return };
        assert_eq!(lists(&elements, &facts), ordered(&live["case"]), "{wanted:?}");
    }
}

#[test]
fn kiln_packages_shows_them() {
    let sandbox = Sandbox::new();
    let run = |words: &[&str]| {
        let mut command = sandbox.kiln(words);
        let output = command.env("ELEMENTS_PATH", upstream_elements()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    // `DIB_RELEASE` of the conditions comes from the elements' environment.d.
    let json: Value =
        serde_json::from_str(&run(&["packages", "--json", "-a", "arm64", "ubuntu-minimal", "source-repositories"]))
            .unwrap();
    let installed = json["install.d"]["install"].as_array().unwrap();
    assert!(installed.contains(&json!(["git", "source-repositories"])), "{json}");
    let mapped = run(&["packages", "--mapped", "fedora", "source-repositories"]);
    assert!(
        mapped.lines().any(|line| line.split_whitespace().eq(["install", "git-core", "source-repositories"])),
        "{mapped}"
    );
    let error = sandbox.kiln(&["packages", "nothing"]).output().unwrap();
    assert!(stderr(&error).contains("Element 'nothing' not found"), "{}", stderr(&error));
    assert_eq!(error.status.code(), Some(1));
}
