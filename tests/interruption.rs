//! A build that is ended, however it is ended, leaves nothing; a running one shows nothing on the host.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Sandbox, approve, interruptible, kiln, one_build, shared_store, stderr, stdout};
use crate::workshop::Workshop;

/// The host's view: mounts of this namespace and loop devices.
fn host_view() -> (String, String) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let loops = Command::new("losetup").arg("-a").output().map(|output| stdout(&output)).unwrap_or_default();
    (mounts, loops)
}

/// Processes that have `store` in their command line, their root or their folder.
fn processes_of(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
            continue;
        }
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let places = ["root", "cwd"].map(|link| fs::read_link(entry.path().join(link)).unwrap_or_default());
        if words.contains(store.to_str().unwrap()) || places.iter().any(|place| place.starts_with(store)) {
            found.push(format!("{name}: {words}"));
        }
    }
    found
}

/// `debian-minimal vm` with this store, in the background.
fn start(sandbox: &Sandbox, store: &Path, words: &[&str]) -> Child {
    command(sandbox, store, words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn command(sandbox: &Sandbox, store: &Path, words: &[&str]) -> Command {
    let mut all = vec!["build", "-o", "image", "vm", "debian-minimal"];
    all.extend(words);
    let mut command = kiln(&all);
    command.current_dir(sandbox.path()).env("KILN_STORE", store).env("DIB_RELEASE", "bookworm");
    interruptible(&command)
}

/// Builds to the end.
fn succeed(sandbox: &Sandbox, store: &Path) -> Duration {
    let begun = Instant::now();
    let output = command(sandbox, store, &[]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    begun.elapsed()
}

/// A moment between 0 and `end`, another one each time.
fn moment(end: Duration) -> Duration {
    let seed = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
    end.mul_f64((seed % 1000) as f64 / 1000.0)
}

fn gone(store: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = processes_of(store);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still there: {left:#?}");
        sleep(Duration::from_millis(20));
    }
}

/// A store of the test's own that has the shared one's packages: what is asked here is who is left, not the network.
fn own_store(sandbox: &Sandbox) -> std::path::PathBuf {
    let store = sandbox.path().join("store");
    fs::create_dir_all(&store).unwrap();
    let packages = shared_store().join("packages");
    if packages.is_dir() {
        let copied = Command::new("cp").arg("-al").arg(&packages).arg(store.join("packages")).status().unwrap();
        assert!(copied.success());
    }
    store
}

#[test]
fn a_killed_build_leaves_no_process_mount_or_loop_device_and_the_next_one_succeeds() {
    let _turn = one_build();
    let sandbox = Sandbox::new();
    let store = own_store(&sandbox);
    let before = host_view();
    let kill = |words: &[&str], after: Duration| {
        let mut child = start(&sandbox, &store, words);
        sleep(after);
        assert_eq!(host_view(), before, "the host sees the build after {after:?}");
        // SIGKILL: nothing can be cleaned up by the program itself.
        child.kill().unwrap();
        child.wait().unwrap();
        gone(&store);
        assert_eq!(host_view(), before, "left behind after {after:?}");
    };
    // While packages are fetched, unpacked and configured.
    for _ in 0..5 {
        kill(&["--no-cache"], moment(Duration::from_secs(20)));
        assert!(!sandbox.path().join("image.qcow2").exists());
    }
    succeed(&sandbox, &store);
    clean(&sandbox, &store);
    // While layers are mounted, the disk is written and compressed, and the artifact is placed: the steps are in the store now.
    let whole = succeed(&sandbox, &store);
    let image = std::fs::metadata(sandbox.path().join("image.qcow2")).unwrap().len();
    for _ in 0..5 {
        kill(&[], moment(whole));
        let now = std::fs::metadata(sandbox.path().join("image.qcow2")).unwrap().len();
        assert_eq!(now, image, "a reader saw half an image");
    }
    succeed(&sandbox, &store);
    clean(&sandbox, &store);
}

/// Nothing of any build is left but the image, its manifests and the store.
fn clean(sandbox: &Sandbox, store: &Path) {
    assert_eq!(fs::read_dir(store.join("work")).unwrap().count(), 0, "work folders are left");
    let mut names: Vec<_> =
        fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["image.d", "image.qcow2", "store"]);
}

#[test]
fn a_signal_ends_a_build_at_once_and_cleanly() {
    let _turn = one_build();
    let sandbox = Sandbox::new();
    let store = own_store(&sandbox);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut child = start(&sandbox, &store, &["--no-cache"]);
        sleep(Duration::from_secs(5));
        let begun = Instant::now();
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        let ended = child.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        assert_eq!(ended.code(), Some(status));
        gone(&store);
        assert_eq!(fs::read_dir(store.join("work")).unwrap().count(), 0, "a work folder is left");
    }
}

#[test]
fn a_failing_hook_is_shown_with_its_place_and_the_way_to_go_on() {
    let _turn = one_build();
    let sandbox = Sandbox::new();
    let script = "const ELEMENT = #{ summary: \"s\", permissions: [\"run\"] };\n\nfn post_install(image) {\n    image.run_in_chroot([\"sh\", \"-c\", \"echo last words; exit 7\"]);\n}\n";
    let elements = sandbox.element("broken", &[("element.rhai", script)]);
    let output = kiln(&[
        "build",
        "-o",
        "image",
        "--elements-path",
        elements.to_str().unwrap(),
        "broken",
        "debian-minimal",
        "-t",
        "tar",
    ])
    .current_dir(sandbox.path())
    .env("KILN_STORE", shared_store())
    .env("DIB_RELEASE", "bookworm")
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for text in
        ["broken", "post-install", "broken/element.rhai:4", "last words", ".log", "kiln build", "--elements-path"]
    {
        assert!(said.contains(text), "no `{text}` in:\n{said}");
    }
    assert!(!sandbox.path().join("image.tar").exists());
}

/// An element whose hook runs apt in the image, on the packages of a whole desktop's worth of dependencies.
const APT: &str = "#!/bin/bash\nset -eu\nexport DEBIAN_FRONTEND=noninteractive\nmount -t tmpfs none /mnt\n\
                   apt-get update\napt-get install -y --no-install-recommends vim git python3-numpy\n";

#[test]
fn an_interrupt_in_the_middle_of_apt_inside_a_hook_leaves_nothing() {
    let _turn = one_build();
    let sandbox = Sandbox::new();
    let store = own_store(&sandbox);
    let elements = sandbox.element("apt", &[("install.d/50-apt", APT)]);
    let bind = "#!/bin/bash\nmount --bind \"$PWD/precious\" \"$TMP_MOUNT_PATH/media\"\n";
    sandbox.element("apt", &[("extra-data.d/50-bind", bind)]);
    for hook in ["install.d/50-apt", "extra-data.d/50-bind"] {
        let hook = elements.join("apt").join(hook);
        fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::create_dir(sandbox.path().join("precious")).unwrap();
    fs::write(sandbox.path().join("precious/data"), "precious").unwrap();
    let before = host_view();
    let words = ["-v", "--elements-path", elements.to_str().unwrap(), "apt"];
    // A group of its own, as a terminal gives one: Ctrl-C goes to all that is in it.
    let mut command = command(&sandbox, &store, &words);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut said = String::new();
    let mut hook_runs = false;
    for line in lines.by_ref().map_while(Result::ok) {
        hook_runs |= line.contains("dib-run-parts Running /tmp/in_target.d/install.d/50-apt");
        said += &(line.clone() + "\n");
        if hook_runs && line.contains("Unpacking ") {
            break;
        }
    }
    assert!(hook_runs && child.try_wait().unwrap().is_none(), "{said}");
    assert_eq!(host_view(), before, "the host sees the build");
    let begun = Instant::now();
    Command::new("kill").args(["-s", "INT", "--", &format!("-{}", child.id())]).status().unwrap();
    let ended = child.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(ended.code(), Some(130));
    gone(&store);
    assert_eq!(host_view(), before);
    assert_eq!(fs::read_dir(store.join("work")).unwrap().count(), 0, "a work folder is left");
    assert_eq!(fs::read_to_string(sandbox.path().join("precious/data")).unwrap(), "precious");
    assert!(!sandbox.path().join("image.qcow2").exists());
}

#[test]
fn a_build_under_nohup_goes_on_when_its_terminal_is_gone() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\ntouch \"$PWD/begun\"\nuntil [[ -e $PWD/go ]]; do sleep 0.1; done\n";
    workshop.element("waits", &[("root.d/20-wait", hook)]);
    let build = workshop.command(&["waits"]);
    // As nohup(1) and the background jobs of a script do.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""]).arg(build.get_program()).args(build.get_args());
    command.env_clear().envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let child = command.current_dir(workshop.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !workshop.path().join("begun").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the hook does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    for signal in ["-HUP", "-INT"] {
        approve("kill", &[signal, &child.id().to_string()]);
    }
    std::thread::sleep(Duration::from_millis(300));
    fs::write(workshop.path().join("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(workshop.path().join("out.tar").exists());
}
