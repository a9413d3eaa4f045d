//! Builds of shell elements beside each other, in whose trees one cache of packages is mounted.

use std::process::{Command, Stdio};

use crate::support::stderr;
use crate::workshop::Workshop;

/// An image with an `apt-get` that gives up, as the real one does, where another one uses the archives.
const APT: &str = r#"#!/bin/bash
set -euo pipefail
cd "$TARGET_ROOT"
mkdir -p usr/bin var/lib/dpkg var/cache/apt/archives
for tool in flock rmdir; do
    cp -L "$(type -P "$tool")" bin/
done
cat > usr/bin/apt-get <<'END'
#!/bin/bash
lock=/var/cache/apt/archives/lock
mkdir "$lock" || { echo "E: Could not get lock $lock. It is held by process 0" >&2; exit 100; }
sleep 1
rmdir "$lock"
echo "$*" >> /etc/installed
# What it starts may be apt again.
[ "$1" != upgrade ] || apt-get clean
END
chmod +x usr/bin/apt-get
"#;

/// As upstream's `dpkg` does.
const CACHE: &str = r#"#!/bin/bash
set -eu
mkdir -p "$DIB_IMAGE_CACHE/apt"
mount --bind "$DIB_IMAGE_CACHE/apt" "$TARGET_ROOT/var/cache/apt/archives"
"#;

/// As upstream's `debian-minimal` does: from outside.
const OUTSIDE: &str = "#!/bin/bash\nset -eu\nchroot \"$TARGET_ROOT\" /usr/bin/apt-get install base\n";

const INSIDE: &str = "#!/bin/bash\nset -eu\napt-get install more\napt-get upgrade\n";

#[test]
fn builds_take_turns_at_the_cache_of_packages_that_they_share() {
    let workshop = Workshop::new();
    workshop.element(
        "apt",
        &[
            ("root.d/20-apt", APT),
            ("root.d/50-cache", CACHE),
            ("root.d/75-base", OUTSIDE),
            ("install.d/10-more", INSIDE),
        ],
    );
    let cache = workshop.path().join("cache");
    let build = |name: &str| -> Command {
        let words = ["build", "-v", "-n", "-t", "tar", "--no-cache", "--elements-path", "elements", "-o", name];
        let mut command = workshop.sandbox.kiln(&[&words[..], &["mini", "apt"]].concat());
        command.env("DIB_IMAGE_CACHE", &cache).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let running = ["one", "other"].map(|name| (name, build(name).spawn().unwrap()));
    let mut said = String::new();
    for (name, child) in running {
        let output = child.wait_with_output().unwrap();
        said += &stderr(&output);
        assert!(output.status.success(), "{said}");
        let tar = workshop.path().join(format!("{name}.tar"));
        let installed = Command::new("tar").arg("-xOf").arg(tar).arg("./etc/installed").output().unwrap();
        assert_eq!(installed.stdout, b"install base\ninstall more\nupgrade\nclean\n");
    }
    assert!(said.contains("another build uses the same cache of packages: waiting for it"), "{said}");
    let left = cache.join("apt").read_dir().unwrap().count();
    assert_eq!(left, 0, "something is left in the cache");
}
