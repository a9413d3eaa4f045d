//! Hostile scripts, one a row: each ends in a clean error, soon, and the host stays as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::fixture::Fixture;
use super::{Call, run, testing};
use crate::event::Events;
use crate::target::fake::FakeTarget;
use crate::target::tree::Tree;
use crate::target::{Attributes, Target};

/// What is tried, the element's grants, the script, the code it must end with.
type Row = (&'static str, &'static [&'static str], &'static str, &'static str);

/// One second, and as much again for a machine that is busy. Without optimisation the interpreter is several times slower.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });

const ROWS: &[Row] = &[
    // computing without end
    ("an empty loop", &[], "fn install(image) { loop { } }", "limit.operations"),
    ("a loop with work in it", &[], "fn install(image) { let x = 0; loop { x += 1; x %= 1000; } }", "limit.operations"),
    ("a loop in a closure", &[], "fn install(image) { [1].map(|x| { loop { } }); }", "limit.operations"),
    ("a caught loop", &[], "fn install(image) { loop { try { loop { } } catch { } } }", "limit.operations"),
    ("a loop of verbs", &[], "fn install(image) { loop { image.exists(\"/etc\"); } }", "limit.verbs"),
    ("a loop of effects", &["write:/srv"], "fn install(image) { loop { image.remove(\"/srv/x\"); } }", "limit.effects"),
    ("endless recursion", &[], "fn f(x) { f(x + 1) } fn install(image) { f(0) }", "limit.calls"),
    ("recursion by closures", &[], "fn f(g) { g.call(g) } fn install(image) { f(|g| g.call(g)) }", "limit.calls"),
    ("recursion by names", &[], "fn f() { call(Fn(\"f\")) } fn install(image) { f() }", "limit.calls"),
    ("a range over everything", &[], "fn install(image) { for i in 0..9223372036854775807 { } }", "limit.operations"),
    ("sleep", &[], "fn install(image) { sleep(1000000); }", "usage.sleep"),
    ("exit from a helper", &[], "fn f() { exit(0) } fn install(image) { f(); }", "usage.exit"),
    // growing without end
    ("a string doubled", &[], "fn install(image) { let s = \"x\"; loop { s += s; } }", "limit.size"),
    ("an array doubled", &[], "fn install(image) { let a = [1]; loop { a += a; } }", "limit.size"),
    ("arrays in arrays doubled", &[], "fn install(image) { let a = [1]; loop { a = [a, a]; } }", "limit.size"),
    ("a padded string", &[], "fn install(image) { \"x\".pad(2000000000, \"y\"); }", "limit.size"),
    ("a padded array", &[], "fn install(image) { [].pad(2000000000, 1); }", "limit.size"),
    ("a blob", &[], "fn install(image) { blob(2000000000); }", "limit.size"),
    ("interpolation", &[], "fn install(image) { let s = \"x\"; loop { s = `${s}${s}`; } }", "limit.size"),
    (
        "a file that grows by edits",
        &["write:/srv"],
        "fn install(image) { image.write_file(\"/srv/x\", \"0123456789abcdef\"); loop { image.edit_file(\"/srv/x\", \"(?s).+\", \"$0$0\"); } }",
        "limit.string",
    ),
    ("a template without end", &[], "fn install(image) { image.render(\"endless\", #{}); }", "template.failed"),
    ("a template that includes itself", &[], "fn install(image) { image.render(\"self\", #{}); }", "template.failed"),
    (
        "a costly regular expression",
        &[],
        "fn install(image) { image.lines(\"/etc/passwd\", \"(a{1000}){1000}\"); }",
        "usage.regex",
    ),
    // nesting
    ("deep parentheses", &[], "fn install(image) { DEEP }", "script.syntax"),
    ("a list in a list, again and again", &[], "fn install(image) { let a = []; loop { a = [a]; } }", "limit.time"),
    (
        "a map in a map, again and again",
        &[],
        "fn install(image) { let a = #{}; loop { a = #{ x: a }; } }",
        "limit.time",
    ),
    (
        "a deep list for a template",
        &[],
        "fn install(image) { let a = []; for i in 0..5000 { a = [a]; } image.render(\"plain\", #{ a: a }); }",
        "usage.nesting",
    ),
    (
        "a deep list for a verb's options",
        &["write:/"],
        "fn install(image) { let a = []; for i in 0..5000 { a = [a]; } image.write_file(\"/x\", \"\", #{ mode: a }); }",
        "usage.nesting",
    ),
    (
        "a deep list for the disk",
        &["disk"],
        "fn install(image) { let a = []; for i in 0..5000 { a = [a]; } image.describe_disk([a]); }",
        "usage.nesting",
    ),
    (
        "a deep list in a message",
        &[],
        "fn install(image) { let a = []; for i in 0..5000 { a = [a]; } throw a.to_string().len; }",
        "script.thrown",
    ),
    (
        "a deep folder",
        &["write:/"],
        "fn install(image) { let p = \"\"; for i in 0..3000 { p += \"/a\"; } image.make_dir(p); }",
        "usage.path",
    ),
    // out of the element
    ("an import of the host's", &[], "import \"/etc/passwd\" as x; fn install(image) { }", "import.denied"),
    ("an import from above", &[], "import \"./../secret\" as x; fn install(image) { }", "element.outside"),
    ("an import by a link", &[], "import \"./link\" as x; fn install(image) { }", "element.outside"),
    ("an import from above the library", &[], "import \"std/../../x\" as x; fn install(image) { }", "import.not-found"),
    (
        "a copy from above",
        &["write:/"],
        "fn install(image) { image.copy_in(\"../secret.rhai\", \"/x\"); }",
        "element.outside",
    ),
    ("a template from above", &[], "fn install(image) { image.render(\"up\", #{}); }", "template.failed"),
    (
        "an archive from above",
        &["write:/"],
        "fn install(image) { image.extract(\"../secret.rhai\", \"/x\"); }",
        "element.outside",
    ),
    ("text evaluated", &[], "fn install(image) { eval(\"1\") }", "script.syntax"),
    ("text evaluated by name", &[], "fn install(image) { Fn(\"eval\").call(\"1\") }", "script.reserved"),
    (
        "the host's files",
        &["read-host:/srv/none"],
        "fn install(image) { image.read_host_file(\"/etc/passwd\"); }",
        "permission.denied",
    ),
    (
        "the host's files, copied",
        &["read-host:/srv/none", "write:/"],
        "fn install(image) { image.copy_from_host(\"/srv/none/../../etc/passwd\", \"/x\"); }",
        "permission.denied",
    ),
    (
        "another host",
        &["fetch:a.example"],
        "fn install(image) { image.fetch(\"https://b.example/a\", \"0000000000000000000000000000000000000000000000000000000000000000\"); }",
        "permission.denied",
    ),
    (
        "a host in disguise",
        &["fetch:a.example"],
        "fn install(image) { image.fetch(\"https://a.example@b.example/a\", \"0000000000000000000000000000000000000000000000000000000000000000\"); }",
        "usage.url",
    ),
    (
        "a file as a download",
        &["fetch:a.example"],
        "fn install(image) { image.fetch(\"file:///etc/passwd\", \"0000000000000000000000000000000000000000000000000000000000000000\"); }",
        "usage.url",
    ),
    (
        "a branch instead of a commit",
        &["fetch:a.example", "write:/"],
        "fn install(image) { image.git_checkout(\"https://a.example/r\", \"main\", \"/x\"); }",
        "usage.commit",
    ),
    (
        "an option of git as a commit",
        &["fetch:a.example", "write:/"],
        "fn install(image) { image.git_checkout(\"https://a.example/r\", \"--upload-pack=/bin/sh\", \"/x\"); }",
        "usage.commit",
    ),
    // out of what was granted
    (
        "a link that leads elsewhere",
        &["write:/srv/a"],
        "fn install(image) { image.symlink(\"/etc\", \"/srv/a/x\"); image.write_file(\"/srv/a/x/shadow\", \"\"); }",
        "permission.denied",
    ),
    (
        "the granted folder as a link",
        &["write:/srv/a"],
        "fn install(image) { image.symlink(\"/etc\", \"/srv/a\"); image.write_file(\"/srv/a/shadow\", \"\"); }",
        "permission.denied",
    ),
    (
        "dots",
        &["write:/srv/a"],
        "fn install(image) { image.write_file(\"/srv/a/../../etc/shadow\", \"\"); }",
        "permission.denied",
    ),
    (
        "dots beside a prefix",
        &["write:/srv/a"],
        "fn install(image) { image.write_file(\"/srv/ab\", \"\"); }",
        "permission.denied",
    ),
    (
        "chmod through a link",
        &["write:/srv/a"],
        "fn install(image) { image.symlink(\"/etc/passwd\", \"/srv/a/x\"); image.chmod(\"/srv/a/x\", 0o666); }",
        "permission.denied",
    ),
    (
        "a copied folder over a link",
        &["write:/srv/a"],
        "fn install(image) { image.symlink(\"/etc\", \"/srv/a/sub\"); image.copy_in(\"static\", \"/srv/a\"); }",
        "permission.denied",
    ),
    (
        "an archive over a link",
        &["write:/srv/a"],
        "fn install(image) { image.symlink(\"/etc\", \"/srv/a/top\"); image.extract(\"good.tar\", \"/srv/a\"); }",
        "permission.denied",
    ),
    (
        "an archive with a link out of its folder",
        &["write:/srv"],
        "fn install(image) { image.extract(\"link.tar\", \"/srv/a\"); }",
        "archive.escapes",
    ),
    (
        "an archive with dots",
        &["write:/"],
        "fn install(image) { image.extract(\"dots.tar\", \"/srv/a\"); }",
        "archive.escapes",
    ),
    (
        "an archive with an absolute name",
        &["write:/"],
        "fn install(image) { image.extract(\"absolute.tar\", \"/srv/a\"); }",
        "archive.escapes",
    ),
    (
        "an archive with a hard link out of its folder",
        &["write:/"],
        "fn install(image) { image.extract(\"hard.tar\", \"/srv/a\"); }",
        "archive.escapes",
    ),
    (
        "an archive with a device",
        &["write:/"],
        "fn install(image) { image.extract(\"device.tar\", \"/srv/a\"); }",
        "archive.broken",
    ),
    (
        "an archive that is none",
        &["write:/"],
        "fn install(image) { image.extract(\"plain\", \"/srv/a\"); }",
        "archive.broken",
    ),
    ("no grant", &[], "fn install(image) { image.write_file(\"/x\", \"\"); }", "permission.denied"),
    (
        "no grant, in a helper",
        &[],
        "fn f(image) { image.run_in_chroot([\"id\"]) } fn install(image) { f(image); }",
        "permission.denied",
    ),
    (
        "no grant, in the library",
        &[],
        "import \"std/users\" as users; fn install(image) { users::lock(image, \"root\"); }",
        "permission.denied",
    ),
    (
        "no grant, by the verb's name",
        &[],
        "fn install(image) { Fn(\"write_file\").call(image, \"/x\", \"\"); }",
        "permission.denied",
    ),
    (
        "no grant, curried",
        &[],
        "fn install(image) { let f = curry(Fn(\"write_file\"), image); f.call(\"/x\", \"\"); }",
        "permission.denied",
    ),
    (
        "no grant, caught",
        &[],
        "fn install(image) { try { image.set_password(\"root\", \"!\"); } catch { } }",
        "permission.denied",
    ),
    (
        "no grant, caught in a helper's closure",
        &[],
        "fn f(g) { try { g.call(); } catch { } } fn install(image) { f(|| image.install_packages([\"x\"])); image.log(\"fine\"); }",
        "permission.denied",
    ),
    (
        "a refusal caught by thrown error",
        &[],
        "fn install(image) { try { image.write_file(\"/x\", \"\"); } catch (e) { throw #{ code: \"ok\", message: e.message }; } }",
        "ok",
    ),
    (
        "a function that bears a verb's name",
        &[],
        "fn write_file(image, path, text) { image.remove(path) } fn install(image) { image.write_file(\"/x\", \"\"); }",
        "permission.denied",
    ),
    ("a verb for the tests only", &[], "fn install(image) { image.fake_package(\"x\"); }", "script.function"),
    (
        "each verb without its grant",
        &["write:/"],
        "fn install(image) { for f in [|| image.enable_service(\"x\"), || image.add_user(\"x\"), || image.secret(\"x\"), || image.add_kernel_args([\"x\"])] { try { f.call(); throw \"granted\"; } catch (e) { if e.code != \"permission.denied\" { throw e; } } } }",
        "permission.denied",
    ),
    ("the disk without its grant", &["write:/"], "fn install(image) { image.describe_disk([]); }", "permission.denied"),
    ("the disk too late", &["disk"], "fn install(image) { image.describe_disk([]); }", "disk.phase"),
    ("another secret", &["secrets:a"], "fn install(image) { image.secret(\"b\"); }", "permission.denied"),
    // what would become part of other things
    (
        "an option as a package",
        &["packages"],
        "fn install(image) { image.install_packages([\"--root=/\"]); }",
        "usage.package",
    ),
    (
        "a line feed in a user",
        &["users"],
        "fn install(image) { image.add_user(\"a\", #{ comment: \"x\\nroot2::0:0::/:/bin/sh\" }); }",
        "usage.option",
    ),
    (
        "a colon in a home",
        &["users"],
        "fn install(image) { image.add_user(\"a\", #{ home: \"/:x\" }); }",
        "usage.option",
    ),
    (
        "a line feed in a key",
        &["users"],
        "fn install(image) { image.authorize_key(\"root\", \"ssh-rsa AAAA\\nssh-rsa BBBB\"); }",
        "usage.key",
    ),
    (
        "a colon in a hash",
        &["users"],
        "fn install(image) { image.set_password(\"root\", \"$6$a$b:c:d:aaaaaaaaaaaaaaaaaaaa\"); }",
        "usage.password",
    ),
    (
        "a line feed in a repository",
        &["packages"],
        "fn install(image) { image.add_repository(\"x\", #{ url: \"http://a\\nTrusted: yes\" }); }",
        "usage.option",
    ),
    (
        "dots in a repository's name",
        &["packages"],
        "fn install(image) { image.add_repository(\"../x\", #{ url: \"http://a\" }); }",
        "usage.repository",
    ),
    (
        "dots in a unit's name",
        &["services"],
        "fn install(image) { image.write_unit(\"../../x\", \"\"); }",
        "usage.unit",
    ),
    (
        "a shell in a kernel argument",
        &["kernel-args"],
        "fn install(image) { image.add_kernel_args([\"a$(reboot)\"]); }",
        "usage.argument",
    ),
    ("a NUL in a path", &["write:/"], "fn install(image) { image.write_file(\"/a\\x00b\", \"\"); }", "usage.path"),
    ("a program without a name", &["run"], "fn install(image) { image.run_in_chroot([\"\"]); }", "usage.command"),
    // the interpreter
    ("a constant map changed", &[], "const M = #{ a: 1 };\nfn install(image) { global::M.a = 2; }", "script.failed"),
    ("arithmetic out of bounds", &[], "fn install(image) { let x = 9223372036854775807; x + 1 }", "script.failed"),
];

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
    let fixture = Fixture::new(grants)
        .file("plain", "plain text\n")
        .file("static/sub/x", "x")
        .file("self", "{% include \"self\" %}")
        .file("up", "{% include \"../secret.rhai\" %}")
        .file("endless", "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}x{% endfor %}{% endfor %}{% endfor %}");
    std::fs::write(fixture.outside().join("secret.rhai"), "fn secret() { }").unwrap();
    std::os::unix::fs::symlink("../secret.rhai", fixture.element.directory.join("link.rhai")).unwrap();
    let archives: [(&str, &[(&str, Kind, &str)]); 6] = [
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
    let mut wrong = Vec::new();
    for (what, grants, text, code) in ROWS {
        let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        let fixture = fixture(grants);
        let begun = Instant::now();
        let ended = fixture.script(&text.replace("DEEP", &deep));
        let took = begun.elapsed();
        match ended {
            Err(error) if error.code == *code => {}
            Err(error) => wrong.push(format!("{what}: {} instead of {code}: {}", error.code, error.message)),
            Ok(_) => wrong.push(format!("{what}: it went well, instead of {code}")),
        }
        if took > LIMIT {
            wrong.push(format!("{what}: it took {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// A folder of an image and something outside of it that must not change.
fn tree() -> (tempfile::TempDir, Utf8PathBuf, Tree) {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap().join("root");
    let outside = Utf8Path::from_path(folder.path()).unwrap().join("outside");
    for path in [&root, &outside, &outside.join("sub")] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(outside.join("file"), "host").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(outside.join("file"), mode).unwrap();
    let tree = Tree::new(&root, Arc::new(FakeTarget::new()), Events::none()).unwrap();
    (folder, outside, tree)
}

fn untouched(outside: &Utf8Path) {
    use std::os::unix::fs::PermissionsExt;
    let names: Vec<_> = std::fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(std::fs::read_dir(outside.join("sub")).unwrap().count(), 0);
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "host");
    assert_eq!(std::fs::metadata(outside.join("file")).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn links_of_the_image_that_name_the_hosts_folders_lead_nowhere_outside() {
    let (_folder, outside, tree) = tree();
    tree.symlink(&outside, "/out".into()).unwrap();
    tree.symlink("../../../../../../../../../..".into(), "/up".into()).unwrap();
    tree.symlink("/proc/self/root".into(), "/magic".into()).unwrap();
    tree.symlink(&outside.join("file"), "/file".into()).unwrap();
    let element = fixture(&["write:/"]);
    let text = format!(
        "fn install(image) {{
            for folder in [\"/out\", \"/magic{outside}\", \"/up{outside}\"] {{
                let path = folder + \"/file\";
                let tries = [
                    || image.write_file(path, \"evil\"), || image.append_to_file(path, \"evil\"), || image.chmod(path, 0o777),
                    || image.remove(path), || image.make_dir(folder + \"/sub/new\"), || image.symlink(\"x\", folder + \"/sub/l\"),
                    || image.copy_in(\"static\", folder + \"/sub\"), || image.extract(\"good.tar\", folder + \"/sub\"),
                    || image.replace_line(path, \"host\", \"evil\"), || image.read_file(path), || image.list(folder),
                ];
                for one in tries {{
                    try {{
                        let got = one.call();
                        if got == \"host\" {{ throw \"read the host\"; }}
                    }} catch (e) {{ if e == \"read the host\" {{ throw e; }} }}
                }}
            }}
            image.append_to_file(\"/file\", \"evil\");
            image.chmod(\"/file\", 0o777);
        }}"
    );
    let element = element.file("element.rhai", &text);
    let call = Call {
        element: element.element.clone(),
        file: element.element.directory.join("element.rhai"),
        function: "install".into(),
        facts: testing::facts(&element.element),
    };
    let _ = run(&call, Arc::new(tree), &Events::none())
        .map_err(|error| assert_ne!(error.code, "script.thrown", "{}", error.message));
    untouched(&outside);
}

#[test]
fn a_folder_that_becomes_a_link_while_verbs_work_on_it_leads_nowhere_outside() {
    let (_folder, outside, tree) = tree();
    let root = outside.with_file_name("root");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not through the tree: by what the kernel lets a process inside the image do.
            while !stop.load(Ordering::Relaxed) {
                let (at, aside) = (root.join("race"), root.join("race.aside"));
                let _ = std::fs::rename(&at, &aside);
                let _ = std::os::unix::fs::symlink(&outside, &at);
                let _ = std::fs::remove_file(&at);
                let _ = std::os::unix::fs::symlink(outside.join("file"), &at);
                let _ = std::fs::remove_file(&at);
                let _ = std::fs::rename(&aside, &at);
                let _ = std::fs::remove_dir_all(&aside);
            }
        });
        let begun = Instant::now();
        let mut rounds = 0;
        while begun.elapsed() < Duration::from_millis(700) {
            let mode = || Attributes { mode: Some(0o777), ..Attributes::default() };
            let _ = tree.make_dir("/race".into(), mode());
            let _ = tree.make_dir("/race/sub/new".into(), mode());
            let _ = tree.write("/race/file".into(), b"evil", mode());
            let _ = tree.set_attributes("/race/file".into(), mode());
            let _ = tree.symlink("x".into(), "/race/sub/link".into());
            let _ = tree.set_attributes("/race".into(), mode());
            let _ = tree.remove("/race/sub".into());
            assert_ne!(tree.read("/race/file".into()).ok().as_deref(), Some(&b"host"[..]));
            let _ = tree.remove("/race".into());
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
        assert!(rounds > 10, "{rounds}");
    });
    untouched(&outside);
}
