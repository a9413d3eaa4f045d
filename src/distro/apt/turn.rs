//! Turns of builds beside each other at a cache of packages that they share.
//!
//! In: the user's cache, which a hook has mounted as apt's archives in the tree, as upstream's `dpkg` does. Out: whoever uses it waits until
//! no other build does; apt-get itself gives up at once where another one has locked it, by fcntl(2) on a file in it. A turn is a
//! flock(2) on the folder, which is one and the same under all its names, and leaves nothing behind. Not here: which hooks need one.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::Utf8Path;
use crossbeam_channel::bounded;

use crate::event::Events;

/// Apt's archives in a tree.
pub const ARCHIVES: &str = "var/cache/apt/archives";

/// How long a turn is waited for. Without an end, a build that a hook of a build starts would wait forever.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What is said of the waiting.
const WAITING: &str = "another build uses the same cache of packages: waiting for it";

/// What is said when it was in vain.
const IN_VAIN: &str = "another build still uses the same cache of packages: going on without waiting, which may fail";

/// Programs that use the archives, and where images have them.
const PROGRAMS: [&str; 2] = ["apt-get", "apt"];
const FOLDERS: [&str; 3] = ["usr/local/sbin", "usr/local/bin", "usr/bin"];

/// It goes on as what is next on the PATH, at once where apt does not lock its archives. The descriptor is one that the hook does not
/// use. apt closes it for what it starts, which may be apt again: a service that a package starts does not keep the turn. flock(1) ends
/// with 1 when somebody else has the lock, with another status where the file system has none.
const PROGRAM: &str = r#"#!/bin/sh
rest=$PATH
case :$PATH in
*:FOLDER:*)
    rest=:$PATH
    rest=${rest##*:FOLDER:}
    ;;
esac
own=$(PATH=$rest; command -v NAME)
case $own in
/*/NAME) [ "$own" != FOLDER/NAME ] || own=/usr/bin/NAME ;;
*) own=/usr/bin/NAME ;;
esac
for word; do
    case $word in
    update | list | show | search | policy | check | indextargets | download | source | changelog | help | moo) exec "$own" "$@" ;;
    -s | --simulate | --just-print | --dry-run | --recon | --no-act | --print-uris) exec "$own" "$@" ;;
    -v | --version | -h | --help) exec "$own" "$@" ;;
    esac
done
if [ "$KILN_TURN" != taken ] && [ -r /ARCHIVES ] && command -v flock >/dev/null 2>&1; then
    for number in 9 8 7 6 5 4 3; do
        (: >&$number) 2>/dev/null && continue
        eval "exec $number</ARCHIVES"
        flock -n $number
        if [ $? -eq 1 ]; then
            echo "NAME: WAITING" >&2
            flock -w PATIENCE $number || echo "NAME: IN_VAIN" >&2
        fi
        export KILN_TURN=taken
        break
    done
fi
exec "$own" "$@"
"#;

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// What is locked.
    _archives: File,
}

/// Waits for a turn at the cache `archives`. Without one, apt's own lock decides.
pub fn take(archives: &Utf8Path, events: &Events) -> Option<Turn> {
    within(PATIENCE, archives, events)
}

fn within(patience: Duration, archives: &Utf8Path, events: &Events) -> Option<Turn> {
    let archives = File::open(archives).ok()?;
    match archives.try_lock() {
        Ok(()) => return Some(Turn { _archives: archives }),
        Err(TryLockError::WouldBlock) => {}
        // The file system has no such locks.
        Err(TryLockError::Error(_)) => return None,
    }
    events.info(WAITING);
    let (sender, receiver) = bounded(1);
    // Whoever asks again and again comes too late each time, where others wait in the kernel.
    std::thread::spawn(move || {
        if archives.lock().is_ok() {
            // Nobody waits any more: the lock goes with the file.
            let _ = sender.send(archives);
        }
    });
    let archives = receiver.recv_timeout(patience).inspect_err(|_| events.warn(IN_VAIN)).ok()?;
    Some(Turn { _archives: archives })
}

/// Writes programs to `folder`, which commands in the tree at `root` see as `inside`: they take a turn and go on as the tree's own of the
/// same name.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Utf8Path, inside: &str, root: &Utf8Path) -> io::Result<()> {
    let is_there = |name: &str| FOLDERS.iter().any(|folder| root.join(folder).join(name).symlink_metadata().is_ok());
    for name in PROGRAMS.into_iter().filter(|name| is_there(name)) {
        let patience = PATIENCE.as_secs().to_string();
        let words = [
            ("ARCHIVES", ARCHIVES),
            ("FOLDER", inside),
            ("NAME", name),
            ("WAITING", WAITING),
            ("IN_VAIN", IN_VAIN),
            ("PATIENCE", &patience),
        ];
        let text = words.iter().fold(PROGRAM.to_owned(), |text, (word, meaning)| text.replace(word, meaning));
        let program = folder.join(name);
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::sandbox::command::Command;

    #[test]
    fn one_waits_for_the_other_and_not_forever() {
        let folder = tempfile::tempdir().unwrap();
        let archives = Utf8Path::from_path(folder.path()).unwrap();
        assert!(take(&archives.join("none"), &Events::none()).is_none(), "there is nothing to take");
        let first = take(archives, &Events::none()).unwrap();
        assert!(within(Duration::from_millis(150), archives, &Events::none()).is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| take(archives, &Events::none()).is_some());
            std::thread::sleep(Duration::from_millis(250));
            assert!(!second.is_finished());
            drop(first);
            assert!(second.join().unwrap());
        });
        // Whoever gave up keeps nothing.
        assert!(within(Duration::from_secs(5), archives, &Events::none()).is_some());
        assert_eq!(archives.read_dir_utf8().unwrap().count(), 0);
    }

    /// The program for an `apt-get` of these words, with archives in the test's own folder.
    struct Lent {
        root: tempfile::TempDir,
    }

    impl Lent {
        fn new(own: &str) -> Self {
            let lent = Self { root: tempfile::tempdir().unwrap() };
            let (bin, own_bin) = (lent.path("lent"), lent.path("usr/local/bin"));
            for folder in [&bin, &own_bin, &lent.path(ARCHIVES)] {
                std::fs::create_dir_all(folder).unwrap();
            }
            std::fs::write(own_bin.join("apt-get"), format!("#!/bin/bash\n{own}\n")).unwrap();
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(own_bin.join("apt-get"), executable.clone()).unwrap();
            write(&bin, bin.as_str(), &lent.path("")).unwrap();
            assert!(!bin.join("apt").exists(), "the tree has none");
            let text = std::fs::read_to_string(bin.join("apt-get")).unwrap();
            let text = text.replace(&format!("/{ARCHIVES}"), lent.path(ARCHIVES).as_str());
            std::fs::write(bin.join("apt-get"), text).unwrap();
            lent
        }

        fn path(&self, inside: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.root.path()).unwrap().join(inside)
        }

        /// What a bash prints that runs `words` with the program on its PATH.
        fn said(&self, words: &str) -> String {
            let path = format!("{}:{}:/usr/bin:/bin", self.path("lent"), self.path("usr/local/bin"));
            let words = format!("cd {}; {words}", self.path(""));
            let command = Command::new(["/bin/bash", "-c", &words]);
            let command = command.environment(BTreeMap::from([("PATH".to_owned(), path)])).quiet();
            let output = command.run(&Events::none()).unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        }
    }

    #[test]
    fn apt_waits_where_it_locks_its_archives_and_nowhere_else() {
        let lent = Lent::new("echo \"own $*\"");
        let turn = take(&lent.path(ARCHIVES), &Events::none()).unwrap();
        for words in ["update", "-q update", "-s install x", "--version"] {
            assert_eq!(lent.said(&format!("apt-get {words}")), format!("own {words}\n"));
        }
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lent.said("apt-get -y install x"));
            std::thread::sleep(Duration::from_millis(300));
            assert!(!waits.is_finished());
            drop(turn);
            let said = waits.join().unwrap();
            assert!(said.starts_with("own -y install x\n") && said.contains(WAITING), "{said}");
        });
    }

    #[test]
    fn a_turn_lasts_as_long_as_apt_and_what_apt_starts_needs_none() {
        let lent = Lent::new("[ \"$1\" = clean ] || apt-get clean; flock -n ARCHIVES true || echo \"taken $1\"");
        let own = lent.path("usr/local/bin/apt-get");
        let text = std::fs::read_to_string(&own).unwrap().replace("ARCHIVES", lent.path(ARCHIVES).as_str());
        std::fs::write(own, text).unwrap();
        assert_eq!(lent.said("apt-get install"), "taken clean\ntaken install\n");
        assert!(within(Duration::ZERO, &lent.path(ARCHIVES), &Events::none()).is_some());
    }

    #[test]
    fn descriptors_of_the_hook_stay_its_own() {
        let lent = Lent::new("echo status >&9; echo more >&8");
        assert_eq!(lent.said("apt-get install 9>nine 8>eight; cat nine eight"), "status\nmore\n");
        let all = "exec 3>a 4>a 5>a 6>a 7>a 8>>b 9>>b; apt-get install; sort b";
        assert_eq!(lent.said(all), "more\nstatus\n");
    }

    #[test]
    fn without_flock_or_archives_apt_goes_on() {
        let lent = Lent::new("echo own");
        let _turn = take(&lent.path(ARCHIVES), &Events::none()).unwrap();
        assert_eq!(lent.said("PATH=${PATH%:/usr/bin:*}; apt-get install"), "own\n");
        std::fs::remove_dir(lent.path(ARCHIVES)).unwrap();
        assert_eq!(lent.said("apt-get install"), "own\n");
    }
}
