//! Helpers on loan for whatever installs packages or makes an initramfs while commands run in a tree.
//!
//! In: a tree. Out: a folder that commands see on their `/dev`, with a `mkinitramfs` (mkinitramfs(8)), a `dpkg-deb` (dpkg-deb(1)), and an
//! `apt-get` and an `apt` that take turns with other builds, before the tree's own on their PATH. What comes out is what the tree's
//! own make, but for the way an initramfs is deflated. Nothing is put into the tree, and a loan that nobody uses costs nothing. Not
//! here: which commands.

mod fifo;
mod functions;
mod gzip;
mod over;
mod queue;
mod unchanged;
mod unpacking;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};

use super::turn;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::PATH;
use fifo::Fifo;
use over::Over;

/// Where commands see the folder: their `/dev` is made anew for each of them.
pub const LENT: &str = "/dev/.kiln";

/// What they see there on their PATH; the other helpers are met by nobody but what is there.
const PROGRAMS: &str = "bin";

/// What apt gives dpkg otherwise.
const DPKG_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// In a mount namespace of its own it puts a quicker `gzip` and shorter hook functions over the tree's, and runs the tree's own: it
/// tells the version of its kernel and all it is asked, gets the name of the functions for it and whether the one made before is
/// the same; without all that where the image has no unshare or may not mount. One at a time. Nothing here is shared with another
/// namespace already, and a root that is no mount point cannot be told so again.
const MKINITRAMFS: &str = r#"#!/bin/sh
own=/usr/sbin/mkinitramfs
out= before=
for version; do
    [ "$before" != -o ] || out=$version
    before=$version
done
[ -x "$own" ] && unshare --mount --propagation unchanged true 2>/dev/null || exec "$own" "$@"
exec unshare --mount --propagation unchanged sh -c '
    own=$1 version=$2 out=$3
    shift 3
    exec 9>LENT/turn
    flock 9
    { echo "$version"; echo "$out"; echo "$*"; env; } >LENT/asked
    { read -r functions known; read -r end; } <LENT/answer
    if [ "$known" = same ] && [ -n "$out" ] && [ -e LENT/made ]; then
        echo "mkinitramfs: nothing of it has changed since it was made before: taken from there" >&2
        exec cp -p LENT/made "$out"
    fi
    rm -f LENT/made
    [ "$functions" = - ] || mount --bind "LENT/$functions" /ORIGINAL
    mount --bind /usr/bin/gzip LENT/OWN && mount --bind LENT/gzip /usr/bin/gzip
    "$own" "$@" || exit
    if [ -n "$out" ]; then
        cp -p "$out" LENT/part && mv LENT/part LENT/made || true
    fi
' mkinitramfs "$own" "$version" "$out" "$@"
"#;

/// `path`, where programs are looked for, with those on loan before all others.
pub fn before(path: &str) -> String {
    format!("{LENT}/{PROGRAMS}:{path}")
}

/// Helpers that are lent until this is dropped.
#[derive(Debug)]
pub struct Loan {
    folder: tempfile::TempDir,
    path: Utf8PathBuf,
    over: Arc<Over>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Loan {
    /// Lends to the tree at `root`.
    ///
    /// # Errors
    /// When no folder for the helpers can be made.
    pub fn begin(root: &Utf8Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned())
            .map_err(|path| io::Error::other(format!("the path {} is not UTF-8", path.display())))?;
        let mut loan = Self { folder, path: path.clone(), over: Arc::new(Over::new()?), threads: Vec::new() };
        let text = MKINITRAMFS.replace("ORIGINAL", functions::ORIGINAL).replace("LENT", LENT).replace("OWN", gzip::OWN);
        let programs = path.join(PROGRAMS);
        std::fs::create_dir(&programs)?;
        std::fs::write(programs.join("mkinitramfs"), text)?;
        std::fs::set_permissions(programs.join("mkinitramfs"), Permissions::from_mode(0o755))?;
        std::fs::write(path.join("apt.conf"), format!("DPkg::Path \"{}\";\n", before(DPKG_PATH)))?;
        turn::write(&programs, &format!("{LENT}/{PROGRAMS}"), root)?;
        let plain = gzip::write(&path, LENT)?;
        let (compressed, over) = (path.join("compressed"), loan.over.clone());
        loan.threads.push(std::thread::spawn(move || gzip::serve(plain, &compressed, &over)));
        let wanted = unpacking::write(&path, &programs, LENT)?;
        let (tree, requests, over) = (root.to_owned(), path.clone(), loan.over.clone());
        loan.threads.push(std::thread::spawn(move || unpacking::serve(&tree, wanted, &requests, &over)));
        fifo::make(&path.join("answer"))?;
        let asked = Fifo::make(&path.join("asked"))?;
        let (root, over) = (root.to_owned(), loan.over.clone());
        loan.threads.push(std::thread::spawn(move || prepare(&root, asked, &path, &over)));
        Ok(loan)
    }

    /// `chroot` with the folder in it.
    pub fn reach(&self, chroot: Chroot) -> Chroot {
        chroot.with_bind(&self.path, Utf8Path::new(LENT), false)
    }

    /// Puts the folder before all others where commands with the environment `variables` look for programs. apt gives dpkg a PATH
    /// of its own, which a file of settings changes (apt.conf(5)).
    pub fn show(variables: &mut BTreeMap<String, String>) {
        let path = variables.get("PATH").map_or(PATH, String::as_str);
        let path = before(path);
        variables.insert("PATH".to_owned(), path);
        variables.entry("APT_CONFIG".to_owned()).or_insert_with(|| format!("{LENT}/apt.conf"));
    }

    /// Ends the loan; call it when the command has ended.
    ///
    /// # Errors
    /// When what the command got is not the whole file.
    pub fn end(mut self) -> io::Result<()> {
        let served = self.stop();
        let _ = std::fs::remove_dir_all(self.folder.path());
        served
    }

    fn stop(&mut self) -> io::Result<()> {
        self.over.say();
        let panicked = || io::Error::other("a helper's thread panicked");
        let ended = self.threads.drain(..).map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())));
        ended.fold(Ok(()), io::Result::and)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The most that one run is asked, its variables among it, in bytes.
const ASKED: u64 = 1 << 20;

/// Answers each run: the name of a file of functions in `folder` or `-`, and whether it would make what the one before made.
fn prepare(root: &Utf8Path, mut asking: Fifo, folder: &Utf8Path, over: &Over) -> io::Result<()> {
    let mut before = None;
    while asking.wait(over)? {
        let mut asked = String::new();
        asking.until(over).take(ASKED).read_to_string(&mut asked)?;
        let mut lines = asked.splitn(3, '\n');
        let (version, out, rest) = (lines.next(), lines.next(), lines.next());
        // Without the short ways the work is done all the same.
        let written = functions::write(root, version.unwrap_or_default().trim(), folder, LENT).ok().flatten();
        let name = written.as_deref().and_then(Utf8Path::file_name).unwrap_or("-");
        let words = rest.unwrap_or_default().replace(out.filter(|out| !out.is_empty()).unwrap_or("-o"), "");
        let now = unchanged::digest(root, &words).ok();
        let known = if now.is_some() && now == before { "same" } else { "new" };
        before = now;
        let Some(mut answer) = fifo::answer(&folder.join("answer"), &asking, over)? else { continue };
        // Whoever asked may be gone.
        let _ = writeln!(answer, "{name} {known}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    /// Copies programs of the host and what they load.
    const COPY: &str = r#"
mkdir -p "$0"/{usr/bin,usr/sbin,proc,sys,dev,tmp}
ln -s usr/bin "$0/bin"
for tool in sh gzip unshare mount flock cat head true sleep env cp mv rm; do
    path=$(type -P "$tool")
    cp -L "$path" "$0/usr/bin/"
    for lib in $(ldd "$path" | grep -o '/[^ )]*' || true); do
        mkdir -p "$0$(dirname "$lib")"
        cp -Ln "$lib" "$0$lib"
    done
done
"#;

    /// A tree of the host's tools, with a mkinitramfs; nothing when the test may not make one.
    fn tree() -> Option<(tempfile::TempDir, Utf8PathBuf)> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().to_owned();
        Command::new(["bash", "-euc", COPY, root.as_str()]).check(&Events::none()).unwrap();
        let text = "PATH=/usr/bin\necho \"$*\" | gzip -c >/tmp/made\nhead -c 2 /usr/bin/gzip >/tmp/head\nexit 4";
        program(&root.join("usr/sbin/mkinitramfs"), text);
        Some((folder, root))
    }

    fn program(path: &Utf8Path, text: &str) {
        std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    fn shell(root: &Utf8Path, loan: &Loan, words: &str) -> i32 {
        let chroot = loan.reach(Chroot::new(root));
        let mut variables = BTreeMap::new();
        Loan::show(&mut variables);
        let command = Command::new(["/bin/sh", "-c", words]).environment(variables).inside(&chroot);
        command.run(&Events::none()).unwrap().status
    }

    #[test]
    fn mkinitramfs_compresses_with_the_lent_program_and_the_tree_stays_as_it_is() {
        let Some((_folder, root)) = tree() else { return };
        let loan = Loan::begin(&root).unwrap();
        assert_eq!(shell(&root, &loan, "mkinitramfs -o /boot/x 6.1"), 4);
        assert_eq!(std::fs::read(root.join("tmp/head")).unwrap(), b"#!");
        let mut text = String::new();
        let made = std::fs::read(root.join("tmp/made")).unwrap();
        // One member whose header bears no time: it is not the tree's gzip's.
        assert_eq!(made[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        flate2::read::GzDecoder::new(made.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "-o /boot/x 6.1\n");
        assert_eq!(
            shell(&root, &loan, "gzip -dc </tmp/made >/tmp/plain || exit 9; mkinitramfs 6.1; mkinitramfs 6.1"),
            4
        );
        loan.end().unwrap();
        assert_eq!(std::fs::read(root.join("usr/bin/gzip")).unwrap()[..4], *b"\x7fELF");
        assert_eq!(root.join("dev").read_dir_utf8().unwrap().count(), 0);
    }

    #[test]
    fn an_initramfs_is_made_again_only_when_something_changed() {
        let Some((_folder, root)) = tree() else { return };
        let text = "PATH=/usr/bin\nn=$(cat /tmp/runs)\necho $n. >/tmp/runs\necho made $n >\"$2\"";
        program(&root.join("usr/sbin/mkinitramfs"), text);
        std::fs::write(root.join("tmp/runs"), "").unwrap();
        let loan = Loan::begin(&root).unwrap();
        let made = |words: &str, name: &str| {
            assert_eq!(shell(&root, &loan, words), 0, "{words}");
            std::fs::read_to_string(root.join(name)).unwrap()
        };
        assert_eq!(made("mkinitramfs -o /tmp/x 6.1", "tmp/x"), "made\n");
        assert_eq!(made("mkinitramfs -o /tmp/y 6.1", "tmp/y"), "made\n");
        assert_eq!(made("DPKG_MAINTSCRIPT_NAME=trigger mkinitramfs -o /tmp/y 6.1", "tmp/y"), "made\n");
        assert_eq!(made("MODULES=dep mkinitramfs -o /tmp/y 6.1", "tmp/y"), "made .\n");
        assert_eq!(made("mkinitramfs -o /tmp/y 6.2", "tmp/y"), "made ..\n");
        assert_eq!(made("echo x >/usr/new; mkinitramfs -o /tmp/y 6.2", "tmp/y"), "made ...\n");
        // One that failed is nothing to take.
        program(&root.join("usr/sbin/mkinitramfs"), "exit 5");
        assert_eq!(shell(&root, &loan, "mkinitramfs -o /tmp/y 6.2"), 5);
        assert_eq!(shell(&root, &loan, "mkinitramfs -o /tmp/y 6.2"), 5);
        loan.end().unwrap();
    }

    #[test]
    fn a_loan_that_nobody_uses_or_that_breaks_off_ends() {
        let Some((_folder, root)) = tree() else { return };
        for words in [
            "true",
            "echo 6.1 >/dev/.kiln/asked",
            "echo 6 >/dev/.kiln/plain",
            "(echo 6; echo text; sleep 9) >/dev/.kiln/plain & head -c 1 /dev/.kiln/compressed & sleep 0.3",
        ] {
            let loan = Loan::begin(&root).unwrap();
            shell(&root, &loan, words);
            let _ = loan.end();
        }
    }
}
