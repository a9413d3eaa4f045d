//! Imports point one way (DESIGN: "The rooms").

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each room, and the rooms it may import from. `diagnostic`, `event` and `request` are values that everybody may hold.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "builder",
            "disk",
            "element",
            "format",
            "hook",
            "inspect",
            "lint",
            "plan",
            "port",
            "reference",
            "registry",
            "sandbox",
            "script",
            "store",
            "target",
            "ui",
            "vm",
        ],
    ),
    ("reference", &["lint", "script"]),
    ("lint", &["disk", "element", "plan", "script"]),
    (
        "builder",
        &["boot", "disk", "distro", "format", "hook", "plan", "plumbing", "sandbox", "script", "store", "target"],
    ),
    ("plan", &["disk", "element", "format"]),
    ("element", &["plan", "script"]),
    // Drafts are read by the loader of elements before they are handed out.
    ("port", &["element", "plan", "script"]),
    ("boot", &["disk", "plan", "sandbox"]),
    ("disk", &["plan", "sandbox"]),
    ("distro", &["sandbox", "store", "target"]),
    ("format", &["plan", "sandbox"]),
    ("hook", &["element", "plan", "sandbox", "target"]),
    // Names, package maps and secrets are values.
    ("plumbing", &["element", "sandbox", "target"]),
    ("script", &["plan", "target"]),
    ("target", &["sandbox"]),
    ("inspect", &["format"]),
    ("registry", &["format", "sandbox"]),
    ("store", &[]),
    ("sandbox", &[]),
    ("ui", &[]),
    ("vm", &["sandbox"]),
    ("event", &[]),
    ("diagnostic", &[]),
    ("request", &[]),
];

const VALUES: &[&str] = &["diagnostic", "event", "request"];

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that `text` names: `crate::room`, also in `use crate::{a::…, b::…}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0, true);
            for (index, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        rooms.insert(word(&group[index..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            rooms.insert(word(rest));
        }
    }
    rooms.remove("");
    rooms
}

#[test]
fn imports_point_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut wrong = Vec::new();
    for file in found {
        let below = file.strip_prefix(&source).unwrap();
        let room = below.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if ["lib", "main", "bin"].contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            panic!("{} is in no known room: say here what it may import", below.display())
        };
        for used in named(&fs::read_to_string(&file).unwrap()) {
            let is_room = ROOMS.iter().any(|(name, _)| *name == used);
            if is_room && used != room && !allowed.contains(&used.as_str()) && !VALUES.contains(&used.as_str()) {
                wrong.push(format!("{} imports from {used}", below.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_screen_and_the_words_print() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    for file in found {
        let below = file.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
        if below.starts_with("cli/") || below.starts_with("ui/") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        assert!(!text.contains("print!(") && !text.contains("println!("), "{below} prints");
    }
}

#[test]
fn the_names_of_a_grouped_import_are_all_seen() {
    let rooms = named("use crate::{disk::{self, layout}, event::Events};\nuse crate::store;");
    assert_eq!(rooms.into_iter().collect::<Vec<_>>(), ["disk", "event", "store"]);
}
