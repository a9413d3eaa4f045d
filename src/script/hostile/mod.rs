//! Hostile scripts, one a row: each ends in a clean error, soon, and the host stays as it was.

use std::time::{Duration, Instant};

mod links;
mod rows;

use super::fixture::Fixture;
use crate::diagnostic::Diagnostic;
use rows::ROWS;

/// How soon each must have ended. Without optimisation the interpreter is several times slower, and may compute ten times as long.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

/// Time that nothing but the work itself can have taken: on the clock another process may have run meanwhile, and of this
/// process's processor time another test may have taken a part, so the smaller one counts.
struct Stopwatch(Instant, Duration);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), Self::processor_time())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed().min(Self::processor_time() - self.1)
    }

    fn processor_time() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
    }
}

/// An archive with one entry of this kind.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_ustar();
        let content: &[u8] = if kind.is_file() { b"evil" } else { b"" };
        // By hand: the library refuses to write what these tests are about.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn fixture(grants: &[&str]) -> Fixture {
    use tar::EntryType as Kind;
    /// Name, entries: name, kind, what a link points to.
    type Hostile = (&'static str, &'static [(&'static str, Kind, &'static str)]);
    let fixture = Fixture::new(grants)
        .file("plain", "plain text\n")
        .file("static/sub/x", "x")
        .file("self", "{% include \"self\" %}")
        .file("up", "{% include \"../secret.rhai\" %}")
        .file("endless", "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}x{% endfor %}{% endfor %}{% endfor %}");
    std::fs::write(fixture.outside().join("secret.rhai"), "fn secret() { }").unwrap();
    std::os::unix::fs::symlink("../secret.rhai", fixture.element.directory.join("link.rhai")).unwrap();
    let archives: [Hostile; 6] = [
        ("good.tar", &[("top/file", Kind::Regular, "")]),
        ("link.tar", &[("out", Kind::Symlink, "../b"), ("out/file", Kind::Regular, "")]),
        ("dots.tar", &[("a/../../x", Kind::Regular, "")]),
        ("absolute.tar", &[("/etc/x", Kind::Regular, "")]),
        ("hard.tar", &[("out", Kind::Symlink, "/etc"), ("x", Kind::Link, "out/passwd")]),
        ("device.tar", &[("null", Kind::Char, "")]),
    ];
    for (name, entries) in archives {
        std::fs::write(fixture.element.directory.join(name), archive(entries)).unwrap();
    }
    fixture
}

#[test]
fn every_hostile_script_ends_soon_in_a_clean_error() {
    let (mut wrong, mut said, mut times) = (Vec::new(), String::new(), Vec::new());
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    for (what, grants, text, code) in ROWS {
        let run = || {
            let fixture = fixture(grants);
            let watch = Stopwatch::start();
            let ended = fixture.script(&text.replace("DEEP", &deep));
            (ended, watch.elapsed())
        };
        let (ended, mut took) = run();
        // Once more for a machine that did something else.
        if took > LIMIT {
            took = took.min(run().1);
        }
        times.push((took, *what));
        match ended {
            Err(error) if error.code == *code => said.push_str(&shown(what, &error)),
            Err(error) => wrong.push(format!("{what}: {} instead of {code}: {}", error.code, error.message)),
            Ok(_) => wrong.push(format!("{what}: it went well, instead of {code}")),
        }
        if took > LIMIT {
            wrong.push(format!("{what}: it took {took:?}"));
        }
    }
    times.sort();
    let slowest = times.iter().rev().take(3).map(|(took, what)| format!("{what} {took:?}")).collect::<Vec<_>>();
    println!("engine: {} hostile scripts; the slowest: {}", ROWS.len(), slowest.join(", "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        said.matches("permission.denied: ").count(),
        ROWS.iter().filter(|row| row.3 == "permission.denied").count()
    );
}

/// A diagnostic in few lines, without what differs from run to run.
fn shown(what: &str, error: &Diagnostic) -> String {
    let message = if error.code == "limit.time" { "(as many seconds as the profile allows)" } else { &error.message };
    let place = error.labels.first().map_or_else(String::new, |label| {
        let before = &label.source[..label.span.start.min(label.source.len())];
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        format!(" at {}:{}:{column}", label.file, before.matches('\n').count() + 1)
    });
    let help: String = error.help.iter().map(|help| format!("  help: {help}\n")).collect();
    format!("{what}{place}\n  {}: {message}\n{help}", error.code)
}

#[test]
fn an_element_that_fails_leaves_the_next_one_alone() {
    let first = fixture(&["write:/srv"]);
    let text = "fn install(image) { image.write_file(\"/srv/x\", \"1\"); loop { } }";
    let target = first.target.clone();
    assert_eq!(first.script(text).unwrap_err().code, "limit.operations");
    // What it did before stays, as a command's work would; its limits and its refusals do not.
    let mut second = fixture(&["write:/srv"]);
    second.target = target;
    second.script("fn install(image) { image.append_to_file(\"/srv/x\", \"2\"); }").unwrap();
}
