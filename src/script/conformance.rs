//! The two targets behave alike: one script of all verbs, run on a folder and in memory, leaves the same tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::fixture::Fixture;
use super::{Call, run};
use super::{api, testing};
use crate::event::Events;
use crate::target::fake::FakeTarget;
use crate::target::pretended::Pretended;
use crate::target::tree::Tree;
use crate::target::{Attributes, FileKind, RunOutput, Target};

/// Every verb at least once. What verbs answer is written into `/result`, so that the trees can be compared.
const SCRIPT: &str = r##"
fn block_device(image) {
    image.describe_disk([#{ local_loop: #{ name: "image0" } }]);
    image.partition("image0", "gpt", [#{ name: "root", size: "100%", "type": "8300" }]);
    image.partition("image1", "mbr", [#{ name: "data", size: "100%", "type": 0x83 }], #{ size: "1GiB", align: "2MiB" });
    image.volume_group("vg", ["data"], [#{ name: "lv", size: "1GiB" }]);
    image.encrypt("safe", "lv", #{});
    image.format_as("fs", "root", "ext4");
    image.format_as("fs2", "safe", "xfs", #{ label: "x" });
    image.mount_at("fs", "/");
    image.mount_at("fs2", "/srv", #{ options: "ro" });

    image.write_file("/data/a/text", "one\ntwo\n");
    image.write_file("/data/a/text", "one\ntwo\nthree\n", #{ mode: 0o640 });
    image.append_to_file("/data/a/text", "four\n");
    image.append_to_file("/data/new", "x\n", #{ mode: 0o600 });
    image.make_dir("/data/b/c");
    image.make_dir("/data/b", #{ mode: 0o711 });
    image.symlink("a/text", "/data/link");
    image.symlink("/data/b", "/data/folder");
    image.write_file("/data/folder/through", "t");
    image.append_to_file("/data/link", "five\n");
    image.chmod("/data/b/c", 0o700);
    image.chown("/data/new", "www");
    image.chown("/data/b", "33", "34");
    let edits = image.edit_file("/data/a/text", "^t", "T");
    edits += image.edit_file("/data/a/text", "^t", "T");
    image.replace_line("/data/a/text", "^five", "FIVE");
    image.replace_line("/data/a/text", "^five", "FIVE");
    image.copy_in("static", "/data/static");
    image.copy_in("static/run", "/data/run", #{ mode: 0o750 });
    image.extract("archive.tar.gz", "/data/unpacked");
    image.extract("archive.tar.gz", "/data/stripped", #{ strip: 1, owner: "www", group: "www" });
    let download = image.fetch("https://files.example/a.tar.gz", "sha256:DIGEST");
    image.copy_in(download, "/data/download");
    image.copy_in(download, "/data/download2", #{ mode: 0o600 });
    image.extract(download, "/data/fetched");
    image.extract(download, "/data/fetched2", #{ keep_owner: true });
    image.git_checkout("https://git.example/r", "COMMIT", "/data/checkout");
    image.copy_from_host(image.env("DIB_HOST") + "/h", "/data/host");
    image.copy_from_host(image.env("DIB_HOST"), "/data/hosts", #{ mode: 0o600 });
    image.remove("/data/static/sub");
    image.remove("/none");

    image.add_group("team");
    image.add_group("old", #{ gid: 500, system: true });
    image.add_user("ann");
    image.add_user("web", #{ system: true, groups: ["team"], home: "/srv/web", shell: "/bin/false", comment: "Web" });
    image.add_user("ann");
    image.set_password("ann", "$6$salt$COMMIT");
    image.authorize_key("ann", "ssh-ed25519 AAAAC3Nza ann@example");
    image.authorize_key("ann", "ssh-ed25519 AAAAC3Nza ann@example");

    image.write_unit("job.service", "[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n");
    image.write_unit("web", #{ command: ["/usr/bin/web", "a b"], user: "web", after: ["network"] });
    image.enable_service("job");
    image.enable_service("web");
    image.disable_service("job");
    image.mask_service("other");

    image.install_packages(["vim"]);
    image.remove_packages(["nano"]);
    image.update_packages();
    image.add_signing_key("extra", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
    image.add_repository("extra", #{ url: "https://packages.example", key: "extra" });
    image.add_repository("extra", #{ url: "https://packages.example/2", suite: "./", unsigned: true });
    image.add_kernel_args(["quiet", "console=ttyS0"]);
    image.remove_kernel_args(["console"]);

    let ran = image.run_in_chroot(["/bin/busybox", "echo", "hello"]);
    let status = image.run_in_chroot(["/bin/busybox", "false"], #{ check: false, env: #{ A: "1" }, stdin: "x", timeout: 60 }).status;

    image.log("log");
    image.warn("warn");
    let failed = "";
    try { image.fail("why"); } catch (error) { failed = error.code; }
    let missing = "";
    for path in ["/none", "/data/b", "relative", "/data/a/text/below"] {
        try { image.read_file(path); } catch (error) { missing += error.code + " "; }
    }
    let answers = [
        image.distro(), image.family(), image.release(), image.arch(), image.image_name(), image.root_label(),
        image.boot_label(), image.has_element("vim"), image.env("DIB_X"), image.has_env("DIB_X"), image.option("port"),
        image.exists("/data/link"), image.exists("/data/none"), image.read_file("/data/link"), image.lines("/data/link"),
        image.lines("/data/link", "T"), image.list("/data"), image.glob("/data/*/[a-t]*"), image.stat("/data/link"),
        image.stat("/data/b"), image.stat("/none"), image.package_version("vim"), image.package_version("nano"),
        image.render("static/template"), image.render("static/template", #{ }), image.secret("word"),
        image.read_host_file(image.env("DIB_HOST") + "/h"), ran.stdout, ran.status, status, failed, missing, edits,
    ];
    for answer in answers {
        image.append_to_file("/result", answer.to_debug() + "\n");
    }
}
"##;

fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &str, kind: tar::EntryType, link: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o754);
        header.set_uid(7);
        header.set_gid(8);
        if link.is_empty() {
            archive.append_data(&mut header, name, content).unwrap();
        } else {
            archive.append_link(&mut header, name, link).unwrap();
        }
    };
    add("./top", tar::EntryType::Directory, "", b"");
    add("top/file", tar::EntryType::Regular, "", b"content");
    add("top/link", tar::EntryType::Symlink, "file", b"");
    add("top/hard", tar::EntryType::Link, "top/file", b"");
    archive.into_inner().unwrap().finish().unwrap()
}

/// Everything in a target as text, without what a chroot needs.
fn snapshot(target: &dyn Target) -> BTreeMap<Utf8PathBuf, String> {
    fn walk(target: &dyn Target, folder: &Utf8Path, found: &mut BTreeMap<Utf8PathBuf, String>) {
        for name in target.list(folder).unwrap() {
            let path = folder.join(&name);
            if ["/bin", "/proc", "/sys", "/dev"].contains(&path.as_str()) {
                continue;
            }
            let stat = target.stat(&path).unwrap().unwrap();
            let content = match stat.kind {
                FileKind::File => String::from_utf8_lossy(&target.read(&path).unwrap()).into_owned(),
                FileKind::Symlink => target.read_link(&path).unwrap().into_string(),
                _ => String::new(),
            };
            let mode = if stat.kind == FileKind::Symlink { 0 } else { stat.mode };
            found.insert(path.clone(), format!("{:?} {mode:o} {} {}\n{content}", stat.kind, stat.uid, stat.gid));
            if stat.kind == FileKind::Directory {
                walk(target, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(target, Utf8Path::new("/"), &mut found);
    found
}

fn prepare(target: &dyn Target) {
    let write = |path: &str, text: &str| target.write(path.into(), text.as_bytes(), Attributes::default()).unwrap();
    write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/:/bin/false\n");
    write("/etc/group", "root:x:0:\nshadow:x:42:\nwww:x:33:\n");
    write("/etc/shadow", "root:*:::::::\n");
    write("/etc/gshadow", "root:*::\n");
    write("/etc/skel/.profile", "umask 022\n");
    target.make_dir("/etc/apt".into(), Attributes::default()).unwrap();
}

fn arrange(outside: &Pretended) {
    outside.content("https://files.example/a.tar.gz", archive());
    outside.content("https://git.example/r", archive());
    outside.add_secret("word", "top secret");
}

#[test]
fn a_script_of_all_verbs_leaves_the_same_tree_in_a_folder_and_in_memory() {
    if !nix::unistd::geteuid().is_root() || !Utf8Path::new("/bin/busybox").exists() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("h"), "of the host").unwrap();
    let grants = [
        "packages",
        "services",
        "users",
        "run",
        "write:/",
        "kernel-args",
        "disk",
        "secrets:word",
        "fetch:files.example",
        "fetch:git.example",
        &format!("read-host:{}", host.path().display()),
    ];
    let fixture = Fixture::new(&grants)
        .file("element.rhai", &SCRIPT.replace("DIGEST", &"0".repeat(64)).replace("COMMIT", &"1".repeat(40)))
        .file("static/template", "text");
    let fixture = fixture.file("static/run", "#!/bin/sh\n").file("static/sub/x", "x");
    std::fs::write(fixture.element.directory.join("archive.tar.gz"), archive()).unwrap();

    let memory = FakeTarget::new();
    let commands = |target: &FakeTarget| {
        let output = |status, stdout: &[u8]| RunOutput { status, stdout: stdout.to_vec(), stderr: Vec::new() };
        target.add_command(vec!["/bin/busybox".into(), "echo".into()], output(0, b"hello\n"));
        target.add_command(vec!["/bin/busybox".into(), "false".into()], output(1, b""));
    };
    commands(&memory);
    prepare(&memory);
    arrange(memory.arrange());

    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    for name in ["bin", "proc", "sys", "dev"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let outside = Arc::new(Pretended::default());
    arrange(&outside);
    let tree = Tree::new(root, Arc::new(FakeTarget::new()), Events::none()).unwrap().with_outside(outside);
    // What every image in memory begins with.
    for (path, _) in snapshot(&FakeTarget::new()) {
        if !path.as_str().starts_with("/etc/") {
            tree.make_dir(&path, Attributes::default()).unwrap();
        }
    }
    prepare(&tree);

    let call = Call {
        element: fixture.element.clone(),
        file: fixture.element.directory.join("element.rhai"),
        function: "block_device".into(),
        facts: crate::target::Facts {
            variables: [("DIB_HOST".to_owned(), host.path().display().to_string())].into(),
            ..testing::facts(&fixture.element)
        },
    };
    let tree = Arc::new(tree);
    let unwrap = |effects: Result<Vec<super::Effect>, crate::diagnostic::Diagnostic>| {
        effects.unwrap_or_else(|error| panic!("{}", error.render(false)))
    };
    let in_memory = unwrap(run(&call, Arc::new(memory.clone()), &Events::none()));
    let in_folder = unwrap(run(&call, tree.clone(), &Events::none()));
    assert_eq!(in_memory.len(), in_folder.len());
    for (left, right) in in_memory.iter().zip(&in_folder) {
        assert_eq!(left, right);
    }
    assert!(!format!("{in_memory:?}").contains("top secret"), "a secret is in the record of effects");
    let (left, right) = (snapshot(&memory), snapshot(&*tree));
    for (path, text) in &left {
        assert_eq!(right.get(path), Some(text), "{path}");
    }
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    assert!(
        left[Utf8Path::new("/result")].contains("io.not-found io.failed usage.path"),
        "{}",
        left[Utf8Path::new("/result")]
    );

    // The edits are idempotent but for appending: a second run changes what the first one appended to, nothing else.
    unwrap(run(&call, Arc::new(memory.clone()), &Events::none()));
    let again = snapshot(&memory);
    let changed: Vec<&str> =
        again.iter().filter(|(path, text)| left.get(*path) != Some(text)).map(|(path, _)| path.as_str()).collect();
    assert_eq!(changed, ["/data/new", "/result"]);
}

#[test]
fn the_script_calls_every_verb() {
    let signatures: Vec<String> = api::module().gen_fn_signatures_with_mapper(|name| name.into()).collect();
    let names: BTreeSet<&str> = signatures.iter().filter_map(|signature| signature.split('(').next()).collect();
    for name in names.into_iter().filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        let known = SCRIPT.contains(&format!("image.{name}(")) || ["to_string", "to_debug"].contains(&name);
        assert!(known, "the script of all verbs lacks `{name}`");
    }
}
