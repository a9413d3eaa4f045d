//! Symlinks of the image that name the host's files, standing still and changing while verbs work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::super::{Call, run, testing};
use super::fixture;
use crate::event::Events;
use crate::target::fake::FakeTarget;
use crate::target::tree::Tree;
use crate::target::{Attributes, Target};

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
