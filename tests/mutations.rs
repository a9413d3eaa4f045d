//! Damaged elements: whatever stands in a manifest, a script or a hook, reading it and looking for mistakes in it ends, soon and
//! without a panic.
//!
//! Each test changes real files at random until its time is over: a few seconds, or `KILN_MUTATION_SECONDS`. The numbers that
//! the changes follow from are printed with a failure and given with `KILN_MUTATION_SEED`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use kiln::element::manifest;
use kiln::event::Events;
use kiln::lint::{Subject, fix, run};
use kiln::plan::PlannedElement;
use kiln::script::run::Script;
use kiln::script::syntax::{self, calls};
use kiln::script::testing;
use kiln::target::fake::FakeTarget;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One text may take this long; on a machine that does other things, too.
const LIMIT: Duration = Duration::from_secs(5);

/// Stack of the thread that reads: that of a program's first thread.
const STACK: usize = 8 << 20;

/// Words that mean something to a reader.
const WORDS: &[&str] = &[
    "const ELEMENT = #{",
    "summary:",
    "permissions: [",
    "\"write:/",
    "depends",
    "options: #{",
    "order",
    "built_in",
    "fn ",
    "fn install(image) {",
    "import \"",
    "\" as x;",
    "\"std/",
    "\"./",
    "global::",
    "::",
    "#{",
    "}",
    "]",
    "(",
    ")",
    "`",
    "${",
    "\"",
    "'",
    "\\",
    "\\u{110000}",
    "\\x",
    "/*",
    "*/",
    "//",
    "///",
    "|x|",
    "||",
    "=>",
    "switch ",
    "if ",
    "for ",
    "in ",
    "let ",
    "const ",
    "private ",
    "Fn(\"",
    "this",
    "-9223372036854775808",
    "0x",
    "1e999",
    "é",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "\r\n",
    "\t",
    "#!/bin/bash",
    "#!/bin/sh",
    "<<EOF",
    "<<-'",
    "export A=$(",
    "sudo ",
    "which ",
    "set -e",
    "# dib-lint: disable=",
    "kiln-lint: allow ",
    "image.family()",
    " == ",
    "image.write_file(",
    ".map(",
    "a.b.c.d",
    "?.",
    "??",
    "..=",
    "- - -",
];

fn seconds() -> Duration {
    let given = std::env::var("KILN_MUTATION_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(3))
}

/// Every text below these folders of the repository.
fn texts(folders: &[&str], wanted: fn(&Utf8Path) -> bool) -> Vec<String> {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in folders {
        for entry in walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter().map(Result::unwrap) {
            let path = Utf8Path::from_path(entry.path()).unwrap();
            if entry.file_type().is_file() && wanted(path) {
                texts.extend(fs::read_to_string(path).ok());
            }
        }
    }
    assert!(texts.len() > 5, "{folders:?} hold too little");
    texts
}

fn place(rng: &mut StdRng, text: &str) -> usize {
    let mut at = rng.gen_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutated(rng: &mut StdRng, texts: &[String]) -> String {
    let mut text = texts[rng.gen_range(0..texts.len())].clone();
    for _ in 0..rng.gen_range(1..6) {
        let (a, b) = (place(rng, &text), place(rng, &text));
        let (start, end) = (a.min(b), a.max(b));
        match rng.gen_range(0..7) {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(start, WORDS[rng.gen_range(0..WORDS.len())]),
            2 => {
                let other = &texts[rng.gen_range(0..texts.len())];
                let (from, to) = (place(rng, other), place(rng, other));
                text.replace_range(start..end, &other[from.min(to)..from.max(to)]);
            }
            3 => {
                let piece = text[start..end].to_owned();
                text.insert_str(start, &piece);
            }
            4 => text.insert_str(start, &WORDS[rng.gen_range(0..WORDS.len())].repeat(rng.gen_range(1..3000))),
            5 => text.insert(start, char::from_u32(rng.gen_range(0..0x1_0000)).unwrap_or('x')),
            _ => text.truncate(end),
        }
        // Growing without end shows nothing new.
        if text.len() > 200_000 {
            let mut cut = 200_000;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            text.truncate(cut);
        }
    }
    text
}

/// Gives damaged texts to `read` until the time is over.
fn damage(name: &str, texts: &[String], read: impl Fn(&str) + Sync) {
    let seed = std::env::var("KILN_MUTATION_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let work = || {
        let begun = Instant::now();
        let mut count = 0_u64;
        while begun.elapsed() < seconds() {
            let number = seed.wrapping_mul(1_000_003).wrapping_add(count);
            let text = mutated(&mut StdRng::seed_from_u64(number), texts);
            let started = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| read(&text)));
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-{name}"));
            if ended.is_err() || started.elapsed() > LIMIT {
                fs::write(&file, &text).unwrap();
            }
            assert!(ended.is_ok(), "{name}: a panic at text {count} of seed {seed}, kept in {}", file.display());
            assert!(
                started.elapsed() < LIMIT,
                "{name}: text {count} of seed {seed} took {:?}, kept in {}",
                started.elapsed(),
                file.display()
            );
            count += 1;
        }
        assert!(count > 10, "{name}: only {count} texts were read");
        println!("{name}: {count} texts");
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn is_script(path: &Utf8Path) -> bool {
    path.extension() == Some("rhai")
}

#[test]
fn damaged_manifests_are_refused_or_read() {
    let manifests = texts(&["elements", "examples"], |path| path.file_name() == Some("element.rhai"));
    damage("manifest", &manifests, |text| {
        if let Ok(source) = syntax::read("x/element.rhai", text) {
            match manifest::rhai::read(&source) {
                Ok(_) => drop(calls::read(&source)),
                Err(diagnostic) => assert!(!diagnostic.render(false).is_empty()),
            }
        }
    });
}

#[test]
fn damaged_scripts_are_refused_or_loaded() {
    let folder = tempfile::tempdir_in(crate::support::scratch()).unwrap();
    let directory = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let element = PlannedElement {
        name: "x".into(),
        directory: directory.clone(),
        permissions: vec!["write:/".into()],
        options: Default::default(),
    };
    damage("script", &texts(&["elements", "examples", "stdlib"], is_script), |text| {
        let file = directory.join("element.rhai");
        fs::write(&file, text).unwrap();
        let target = Arc::new(FakeTarget::new());
        let facts = testing::facts(&element);
        if let Err(diagnostic) = Script::new(&element, &file, facts, target, &Events::none(), None) {
            assert!(!diagnostic.render(false).is_empty());
        }
    });
}

#[test]
fn lint_gets_through_damaged_elements_and_so_does_mending() {
    let all = texts(&["elements", "examples", "stdlib/shell"], |_| true);
    let folder = tempfile::tempdir_in(crate::support::scratch()).unwrap();
    let directory = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    for folder in ["install.d", "tests", "environment.d", "lib"] {
        fs::create_dir(directory.join(folder)).unwrap();
    }
    let files = [
        "element.rhai",
        "install.d/50-a",
        "install.d/60-b.rhai",
        "tests/a.rhai",
        "environment.d/10-x",
        "element-deps",
        "pkg-map",
        "package-installs.yaml",
        "block-device-default.yaml",
        "lib/a.rhai",
        "README.md",
        "svc-map",
    ];
    damage("lint", &all, |text| {
        // Which file it is follows from the text: the same text is the same file again.
        let which = text.len() % files.len();
        let file = directory.join(files[which]);
        fs::write(&file, text).unwrap();
        let subject = Subject::read("x", &directory, &Rc::default()).unwrap();
        let findings = run::check(&subject);
        for finding in &findings {
            assert!(!finding.diagnostic.render_as(finding.rule.severity, false).is_empty());
            finding.region();
        }
        fix::apply(&directory, &findings).unwrap();
        fs::remove_file(&file).unwrap();
    });
}
