//! Turns of builds beside each other at a cache of packages that they share.
//!
//! In: a tree in which a hook has mounted the user's cache as apt's archives, as upstream's `dpkg` does. Out: whoever uses them waits
//! until no other build does; apt-get itself gives up at once where another one has locked them, by fcntl(2) on a file in them. A
//! turn is a flock(2) on the folder, the same one wherever it is mounted, and leaves nothing behind. Not here: which hooks need one.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::event::Events;

/// Apt's archives in a tree.
pub const ARCHIVES: &str = "var/cache/apt/archives";

/// How long a turn is waited for. After that things are as without turns, or a build in a hook of a build would wait forever.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is said of the waiting.
const WAITING: &str = "another build uses the same cache of packages: waiting for it";

/// Programs that use the archives, in `/usr/bin`.
const PROGRAMS: [&str; 2] = ["apt-get", "apt"];

/// apt closes the descriptor for what it starts: a service that a package starts does not keep the turn. What apt starts may be apt.
const PROGRAM: &str = r#"#!/bin/sh
if [ "$KILN_TURN" != taken ] && [ -r /ARCHIVES ] && command -v flock >/dev/null 2>&1; then
    exec 9</ARCHIVES
    flock -n 9 || {
        echo "NAME: WAITING" >&2
        flock -w PATIENCE 9 || :
    }
    export KILN_TURN=taken
fi
exec /usr/bin/NAME "$@"
"#;

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// What is locked.
    _archives: File,
}

/// Waits for a turn at the archives of the tree at `root`, which somebody has mounted there. Without one, apt's own lock decides.
pub fn take(root: &Utf8Path, events: &Events) -> Option<Turn> {
    within(PATIENCE, root, events)
}

fn within(patience: Duration, root: &Utf8Path, events: &Events) -> Option<Turn> {
    let archives = File::open(root.join(ARCHIVES)).ok()?;
    let begun = Instant::now();
    let mut told = false;
    loop {
        match archives.try_lock() {
            Ok(()) => return Some(Turn { _archives: archives }),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {}
            Err(_) => return None,
        }
        if !std::mem::replace(&mut told, true) {
            events.info(WAITING);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes programs to `folder` that take a turn and go on as those of the same name in the tree at `root`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Utf8Path, root: &Utf8Path) -> io::Result<()> {
    for name in PROGRAMS.into_iter().filter(|name| root.join("usr/bin").join(name).is_file()) {
        let text = PROGRAM.replace("ARCHIVES", ARCHIVES).replace("NAME", name).replace("WAITING", WAITING);
        let program = folder.join(name);
        std::fs::write(&program, text.replace("PATIENCE", &PATIENCE.as_secs().to_string()))?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_for_the_other_and_not_forever() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        assert!(take(root, &Events::none()).is_none(), "there is nothing to take");
        std::fs::create_dir_all(root.join(ARCHIVES)).unwrap();
        let first = take(root, &Events::none()).unwrap();
        assert!(within(Duration::from_millis(150), root, &Events::none()).is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| take(root, &Events::none()).is_some());
            std::thread::sleep(Duration::from_millis(250));
            assert!(!second.is_finished());
            drop(first);
            assert!(second.join().unwrap());
        });
        assert_eq!(root.join(ARCHIVES).read_dir_utf8().unwrap().count(), 0);
    }
}
