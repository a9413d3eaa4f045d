//! Runs diskimage-builder 3.43.0 from PyPI.
//!
//! It maps partitions with kpartx, which needs device-mapper in the kernel. Stand-ins do it with partx, and take the place of
//! `sudo`, which would not look for them in their folder. It runs in a mount namespace of its own: what it mounts goes with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::support::{FOR_AN_EMULATED_MACHINE, a_core, approve, ending, scratch, stdout};

/// `kpartx -avs DEVICE`, `kpartx -uvs DEVICE`, `kpartx -d DEVICE`.
const KPARTX: &str = r#"#!/bin/sh
set -e
for device; do :; done
names=/dev/mapper/${device#/dev/}p
case $1 in
-d*)
    rm -f "$names"*
    exec partx --delete "$device"
    ;;
esac
partx --update "$device"
mkdir -p /dev/mapper
for partition in "$device"p*; do
    ln -sf "$partition" "/dev/mapper/${partition#/dev/}"
done
"#;

const SUDO: &str = r#"#!/bin/sh
while case $1 in -*) ;; *) false ;; esac; do
    shift
done
exec env "$@"
"#;

/// Without device-mapper there is nothing to ask dmsetup for.
const DMSETUP: &str = "#!/bin/sh\n";

/// apt locks the cache of packages, and kiln's builds run beside: in its place is one of its own, under the name that both leave in the
/// image.
const OWN_CACHE: &str = r#"mount --bind "$1" "$2"; shift 2; exec "$@""#;

/// Runs its `disk-image-create` with `words` in `folder`.
pub fn create(folder: &Path, words: &[&str]) {
    let installed = installed();
    let _turn = a_core();
    let tools = folder.join("stand-ins");
    fs::create_dir(&tools).unwrap();
    for (name, text) in [("kpartx", KPARTX), ("sudo", SUDO), ("dmsetup", DMSETUP)] {
        fs::write(tools.join(name), text).unwrap();
        fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let caches = [scratch().join("cache-of-diskimage-builder"), image_cache()];
    caches.iter().for_each(|cache| fs::create_dir_all(cache).unwrap());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", OWN_CACHE, "sh"]).args(caches);
    command.arg(installed.join("bin/disk-image-create")).args(words);
    let path = format!("{}:{}", tools.display(), variables()["PATH"]);
    command
        .env_clear()
        .envs(variables())
        .envs(mirrors())
        .env("PATH", path)
        .env("PYTHONPATH", &installed)
        .env("TMP_DIR", folder);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "diskimage-builder {words:?}: {}", ending(&output));
}

/// The folder of the program and what it needs, installed once.
fn installed() -> PathBuf {
    static ONCE: Mutex<()> = Mutex::new(());
    let _turn = ONCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = scratch().join("diskimage-builder-3.43.0-with-all-it-needs");
    if !folder.is_dir() {
        let unfinished = tempfile::tempdir_in(scratch()).unwrap();
        let to = unfinished.path().to_str().unwrap();
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", to];
        approve("python3", &[&install[..], &["diskimage-builder==3.43.0", "setuptools<81"]].concat());
        fs::rename(unfinished.path(), &folder).unwrap();
    }
    folder
}

fn image_cache() -> PathBuf {
    scratch().join("dib-image-cache")
}

/// What both programs see of the environment.
pub fn variables() -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = ["PATH", "HOME", "http_proxy", "https_proxy", "no_proxy"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    let more = [("USER", "root"), ("DIB_RELEASE", "bookworm"), ("LC_ALL", "C.UTF-8")];
    for (name, value) in more.into_iter().chain(FOR_AN_EMULATED_MACHINE) {
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables.insert("DIB_IMAGE_CACHE".to_owned(), image_cache().display().to_string());
    variables
}

/// The archives that this machine uses itself, when it is a Debian: DIB's own are not reached from everywhere.
pub fn mirrors() -> BTreeMap<String, String> {
    let words = ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"];
    let Ok(output) = Command::new("apt-get").args(words).output() else { return BTreeMap::new() };
    let said = stdout(&output);
    let of = |label: &str| {
        let uri = said.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '))?;
        Some(uri.trim_end_matches('/').to_owned())
    };
    [("DIB_DISTRIBUTION_MIRROR", "Debian"), ("DIB_DEBIAN_SECURITY_MIRROR", "Debian-Security")]
        .into_iter()
        .filter_map(|(name, label)| Some((name.to_owned(), of(label)?)))
        .collect()
}
