//! Builds of shell elements that find a cache of packages in use by another build.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::workshop::Workshop;

/// An image with an `apt-get` that says in the cache when it ran.
const APT: &str = r#"#!/bin/bash
set -euo pipefail
cd "$TARGET_ROOT"
mkdir -p usr/bin var/lib/dpkg var/cache/apt/archives
cp -L "$(type -P flock)" bin/
printf '#!/bin/bash\ntouch "/var/cache/apt/archives/$*"\n' > usr/bin/apt-get
chmod +x usr/bin/apt-get
"#;

/// As upstream's `dpkg` does.
const CACHE: &str =
    "#!/bin/bash\nset -eu\nmount --bind \"$DIB_IMAGE_CACHE/apt\" \"$TARGET_ROOT/var/cache/apt/archives\"\n";

/// As upstream's `debian-minimal` does: from outside.
const OUTSIDE: &str = "#!/bin/bash\nset -eu\nchroot \"$TARGET_ROOT\" /usr/bin/apt-get outside\n";

/// Says that it is there, and waits to be let on, not forever.
const INSIDE: &str = r#"#!/bin/bash
set -eu
touch /var/cache/apt/archives/inside-begins
for _ in {1..1200}; do
    [ ! -e /var/cache/apt/archives/go-on ] || break
    sleep 0.1
done
apt-get update
apt-get install
"#;

/// Waits until `holds`, while the build runs.
fn wait(build: &mut Child, log: &Path, what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        let ended = build.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(120);
        if ended {
            let _ = build.kill();
            panic!("no {what}:\n{}", fs::read_to_string(log).unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_build_waits_for_the_cache_of_packages_that_another_one_uses() {
    let workshop = Workshop::new();
    let hooks = [("root.d/20-apt", APT), ("root.d/50-cache", CACHE), ("root.d/75-base", OUTSIDE)];
    workshop.element("apt", &[&hooks[..], &[("install.d/10-more", INSIDE)]].concat());
    let (cache, log) = (workshop.path().join("cache"), workshop.path().join("log"));
    let archives = cache.join("apt");
    fs::create_dir_all(&archives).unwrap();
    let other = File::open(&archives).unwrap();
    other.lock().unwrap();
    let mut command = workshop.command(&["--no-cache", "apt"]);
    command.env("DIB_IMAGE_CACHE", &cache).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
    let mut build = command.spawn().unwrap();
    let says = |text: &str| fs::read_to_string(&log).unwrap().contains(text);
    let ran = |words: &str| archives.join(words).exists();

    wait(&mut build, &log, "waiting in root.d", || {
        says("another build uses the same cache of packages: waiting for it")
    });
    assert!(!ran("outside"));
    other.unlock().unwrap();
    wait(&mut build, &log, "hook in the image", || ran("inside-begins"));
    assert!(ran("outside"));

    other.lock().unwrap();
    fs::write(archives.join("go-on"), "").unwrap();
    wait(&mut build, &log, "waiting in the image", || says("apt-get: another build uses the same cache of packages"));
    // That does not touch the archives.
    assert!(ran("update") && !ran("install"));
    other.unlock().unwrap();
    assert!(build.wait().unwrap().success(), "{}", fs::read_to_string(&log).unwrap());
    assert!(ran("install"));
}
