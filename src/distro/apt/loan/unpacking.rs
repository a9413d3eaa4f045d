//! A `dpkg-deb` on loan: dpkg(1) unpacks one package after the other and waits for the data of each to be decompressed. This one
//! has it ready: while one package is being unpacked, the next ones are decompressed.
//!
//! In: the requests of `dpkg-deb --fsys-tarfile`, for packages that apt has put in a folder in the order in which it wants them
//! unpacked. Out: their data, plain. Everything else is left to the tree's own program, and so is every package that cannot be read
//! here. Not here: what waits (`queue`), reading packages (`deb`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};

use super::fifo::{self, Fifo};
use super::over::Over;
use super::queue::{End, Next, Queue};
use crate::distro::apt::deb::Deb;
use crate::target::TargetError;
use crate::target::resolve::resolve;

/// How apt's folder begins: `apt-dpkg-install-XXXXXX`, with links to the packages, numbered.
const FOLDER: &str = "apt-dpkg-install-";

/// Bytes that are handed on at once.
const BLOCK: u64 = 1 << 20;

/// One package at a time; a second one goes to the tree's own. Its data is not believed to be whole until that was said. Each answer is
/// read to its end, and names the package: it is no answer to somebody who went away.
const PROGRAM: &str = r#"#!/bin/sh
own=/usr/bin/dpkg-deb
case $#:$1:$2 in
2:--fsys-tarfile:*/FOLDER*) ;;
*) exec "$own" "$@" ;;
esac
exec 9>LENT/unpacking
flock -n 9 || exec "$own" "$@"
echo "$2" >LENT/wanted
{ read -r answer; read -r end; } <LENT/granted
[ "$answer" = "yes $2" ] || exec "$own" "$@"
cat LENT/data
{ read -r answer; read -r end; } <LENT/granted
[ "$answer" = "whole $2" ] && exit
echo "dpkg-deb: error: the data of $2 cannot be read" >&2
exit 2
"#;

/// Writes the program to `programs` and makes its FIFOs in `folder`, which commands in the tree see as `inside`.
///
/// # Errors
/// When the folders cannot be written.
pub fn write(folder: &Utf8Path, programs: &Utf8Path, inside: &str) -> io::Result<Fifo> {
    let program = programs.join("dpkg-deb");
    std::fs::write(&program, PROGRAM.replace("FOLDER", FOLDER).replace("LENT", inside))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    for name in ["granted", "data"] {
        fifo::make(&folder.join(name))?;
    }
    Fifo::make(&folder.join("wanted"))
}

/// Answers requests for packages in the tree at `root` until the loan is over.
///
/// # Errors
/// When the FIFOs in `folder` cannot be used.
pub fn serve(root: &Utf8Path, mut wanted: Fifo, folder: &Utf8Path, over: &Over) -> io::Result<()> {
    let mut row: Option<Row> = None;
    while wanted.wait(over)? {
        let mut asked = String::new();
        wanted.until(over).take(4096).read_to_string(&mut asked)?;
        // Whoever asked before is gone.
        let path = Utf8Path::new(asked.lines().next_back().unwrap_or_default());
        let say = |word: &str| -> io::Result<bool> {
            let Some(mut answer) = fifo::answer(&folder.join("granted"), &wanted, over)? else { return Ok(false) };
            let _ = writeln!(answer, "{word} {path}");
            Ok(true)
        };
        if !row.as_ref().is_some_and(|row| row.holds(path)) {
            row = Row::beside(root, path);
        }
        let Some(queue) = row.as_mut().and_then(|row| row.want(path)) else {
            say("no")?;
            continue;
        };
        // What cannot be read here, the tree's own may read, or say why not.
        let mut next = queue.next();
        if next == Next::End(End::Broken) {
            say("no")?;
            continue;
        }
        if !say("yes")? {
            continue;
        }
        let Some(mut data) = fifo::answer(&folder.join("data"), &wanted, over)? else { continue };
        let end = loop {
            match next {
                Next::Block(block) if data.write_all(&block).is_err() => break End::Broken,
                Next::Block(_) => next = queue.next(),
                Next::End(end) => break end,
            }
        };
        drop(data);
        say(if end == End::Whole { "whole" } else { "broken" })?;
    }
    Ok(())
}

/// The packages that apt has put in one folder.
struct Row {
    /// As commands in the tree name it.
    folder: Utf8PathBuf,
    names: Vec<String>,
    queue: Arc<Queue>,
    /// The first that was not asked for yet.
    next: usize,
    thread: Option<JoinHandle<()>>,
}

impl Row {
    /// The packages from the one at `path` on, which are being decompressed from now on; nothing when they cannot be read.
    fn beside(root: &Utf8Path, path: &Utf8Path) -> Option<Self> {
        let (folder, first) = (path.parent()?, path.file_name()?);
        folder.file_name().filter(|name| name.starts_with(FOLDER))?;
        let entries = std::fs::read_dir(found(root, folder)?).ok()?;
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(".deb") && name.as_str() >= first);
        names.sort();
        let files: Vec<Utf8PathBuf> = names.iter().filter_map(|name| found(root, &folder.join(name))).collect();
        if files.is_empty() || files.len() != names.len() {
            return None;
        }
        let queue = Arc::new(Queue::default());
        let filled = queue.clone();
        let thread =
            std::thread::spawn(move || files.iter().enumerate().for_each(|(number, file)| fill(&filled, number, file)));
        Some(Self { folder: folder.to_owned(), names, queue, next: 0, thread: Some(thread) })
    }

    fn number(&self, path: &Utf8Path) -> Option<usize> {
        let name = path.file_name().filter(|_| path.parent() == Some(&self.folder))?;
        self.names.iter().position(|other| other == name)
    }

    fn holds(&self, path: &Utf8Path) -> bool {
        self.number(path).is_some()
    }

    /// What waits of the package at `path`; nothing when it is to be read by somebody else.
    fn want(&mut self, path: &Utf8Path) -> Option<&Queue> {
        let number = self.number(path).filter(|number| *number >= self.next)?;
        self.next = number + 1;
        self.queue.want(number);
        Some(&self.queue)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where `path` of the tree at `root` is for us; a link in the tree never leads out of it.
fn found(root: &Utf8Path, path: &Utf8Path) -> Option<Utf8PathBuf> {
    let here = |path: &Utf8Path| root.join(path.as_str().trim_start_matches('/'));
    let path = resolve(path, true, |at| Ok::<_, TargetError>(here(at).read_link_utf8().ok())).ok()?;
    Some(here(&path))
}

/// Decompresses one package.
fn fill(queue: &Queue, number: usize, file: &Utf8Path) {
    let read = || -> io::Result<End> {
        let mut bytes = Vec::new();
        File::open(file)?.read_to_end(&mut bytes)?;
        let deb = Deb::new(file.as_str(), &bytes).map_err(io::Error::other)?;
        let mut data = deb.data().map_err(io::Error::other)?;
        loop {
            let mut block = Vec::new();
            if data.by_ref().take(BLOCK).read_to_end(&mut block)? == 0 {
                return Ok(End::Whole);
            }
            if !queue.add(number, block) {
                return Ok(End::Broken);
            }
        }
    };
    queue.end(number, read().unwrap_or(End::Broken));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;
    use crate::distro::apt::fixture::{Entry, deb};
    use crate::event::Events;
    use crate::sandbox::command::{Command, Output};

    #[test]
    fn packages_of_apts_folder_come_plain_and_all_else_from_the_trees_own() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let apt = top.join(format!("{FOLDER}x"));
        std::fs::create_dir_all(&apt).unwrap();
        let control = "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n";
        let content = "a line that comes again\n".repeat(100_000).leak();
        for name in ["000-a.deb", "001-b.deb", "003-d.deb"] {
            std::fs::write(apt.join(name), deb(control, &[], &[Entry::File("./a", 0o644, content)])).unwrap();
        }
        std::fs::write(apt.join("002-c.deb"), "no package").unwrap();
        std::fs::write(top.join("e.deb"), deb(control, &[], &[Entry::File("./e", 0o644, "e")])).unwrap();
        let wanted = write(top, top, top.as_str()).unwrap();
        let (over, program) = (Over::new().unwrap(), top.join("dpkg-deb"));
        let run = |words: &[&str]| -> Output {
            Command::new([&[program.as_str()], words].concat().iter().copied()).quiet().run(&Events::none()).unwrap()
        };
        std::thread::scope(|scope| {
            let served = scope.spawn(|| serve(Utf8Path::new("/"), wanted, top, &over));
            // Somebody who asks and goes away keeps nobody waiting.
            std::fs::write(top.join("wanted"), format!("{}\n", apt.join("000-a.deb"))).unwrap();
            for (name, status) in [
                ("000-a.deb", 0),
                ("001-b.deb", 0),
                ("001-b.deb", 0),
                ("002-c.deb", 2),
                ("003-d.deb", 0),
                ("000-a.deb", 0),
            ] {
                let output = run(&["--fsys-tarfile", apt.join(name).as_str()]);
                assert_eq!(output.status, status, "{name}");
                if status == 0 {
                    let own = Command::new(["/usr/bin/dpkg-deb", "--fsys-tarfile", apt.join(name).as_str()]).quiet();
                    assert!(output.stdout == own.run(&Events::none()).unwrap().stdout, "{name}");
                }
            }
            std::fs::write(top.join("wanted"), "gone\n").unwrap();
            assert_eq!(run(&["--fsys-tarfile", top.join("e.deb").as_str()]).status, 0);
            assert_eq!(run(&["--field", top.join("e.deb").as_str(), "Package"]).stdout, b"a\n");
            over.say();
            served.join().unwrap().unwrap();
        });
    }

    /// The end of one answer must not be met by whoever reads the next.
    #[test]
    fn an_answer_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let mut wanted = write(top, top, top.as_str()).unwrap();
        let (over, program) = (Over::new().unwrap(), top.join("dpkg-deb"));
        let package = format!("/{FOLDER}x/a.deb");
        let ask = || Command::new([program.as_str(), "--fsys-tarfile", &package]).quiet().run(&Events::none()).unwrap();
        std::thread::scope(|scope| {
            let asks = scope.spawn(ask);
            assert!(wanted.wait(&over).unwrap());
            let mut asked = String::new();
            wanted.until(&over).read_to_string(&mut asked).unwrap();
            assert_eq!(asked, format!("{package}\n"));
            let late = |word: &str| {
                let mut answer = fifo::waited_for(&top.join("granted"), &over).unwrap().unwrap();
                writeln!(answer, "{word} {package}").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(200));
                answer
            };
            let answer = late("yes");
            let too_soon =
                std::fs::OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(top.join("data"));
            assert_eq!(too_soon.unwrap_err().raw_os_error(), Some(nix::libc::ENXIO));
            drop(answer);
            fifo::waited_for(&top.join("data"), &over).unwrap().unwrap().write_all(b"plain").unwrap();
            let answer = late("whole");
            assert!(!asks.is_finished(), "it has ended before the answer has");
            drop(answer);
            let output = asks.join().unwrap();
            assert_eq!((output.status, output.stdout.as_slice()), (0, &b"plain"[..]));
        });
    }
}
