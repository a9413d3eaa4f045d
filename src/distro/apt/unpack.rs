//! Puts the files of packages into the tree, as dpkg does, many packages at once.
//!
//! In: archives' bytes. Out: files in the tree, and what the database must know about each package. Directories that several
//! packages have get the attributes of the first of them in the order of the choice, whichever thread came first.
//! Not here: the database's form (`dpkg_database`), scripts (`configure`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use md5::{Digest, Md5};
use rustix::fs::FileType;

use super::deb::{Control, Deb};
use super::index::Package;
use super::tree::{Attributes, Tree};
use crate::distro::DistroError;
use crate::store::packages::hex;

/// What came out of one archive.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    /// The control files.
    pub control: Control,
    /// Every path, absolute, in the archive's order; `/.` is the root.
    pub paths: Vec<String>,
    /// Configuration files and their md5 in lower-case hex.
    pub conffiles: Vec<(String, String)>,
}

/// Unpacks packages into one tree.
#[derive(Debug)]
pub struct Unpacker<'a> {
    root: Utf8PathBuf,
    packages: &'a [Package],
    /// Path to the position of the package that has it, and whether its file is there.
    owners: Mutex<HashMap<String, (usize, bool)>>,
    /// A file has arrived.
    placed: Condvar,
    /// Folder to the position of the first package that has it, and its attributes there.
    folders: Mutex<BTreeMap<String, (usize, Attributes)>>,
    /// (position, path): files that a package lost to one that replaces them.
    lost: Mutex<HashSet<(usize, String)>>,
    /// Path to (new path, package that may keep the old one).
    diversions: HashMap<String, (String, String)>,
}

impl<'a> Unpacker<'a> {
    /// An unpacker into `root` for packages out of `packages`.
    pub fn new(root: &Utf8Path, packages: &'a [Package]) -> Self {
        Self {
            root: root.to_owned(),
            packages,
            owners: Mutex::default(),
            placed: Condvar::new(),
            folders: Mutex::default(),
            lost: Mutex::default(),
            diversions: HashMap::new(),
        }
    }

    /// From now on honours the diversions that are recorded in the tree (three lines each: path, new path, package).
    pub fn read_diversions(&mut self) {
        let text = Tree::open(&self.root).and_then(|tree| tree.read("var/lib/dpkg/diversions")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().map(str::to_owned);
        while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
            self.diversions.insert(from, (to, by));
        }
    }

    /// Unpacks the package at `position`, whose archive is `bytes`; its data is read from `plain` when that is there, which holds
    /// it decompressed.
    ///
    /// # Errors
    /// When the archive is damaged, two packages have the same file, or the tree cannot be written.
    pub fn unpack(&self, position: usize, bytes: &[u8], plain: Option<File>) -> Result<Unpacked, DistroError> {
        let package = &self.packages[position];
        let deb = Deb::new(&package.url, bytes)?;
        let control = deb.control_of(package)?;
        let conffiles: HashSet<&str> =
            control.lines("conffiles").into_iter().filter(|line| line.starts_with('/')).collect();
        let damaged = |error: std::io::Error| DistroError::Format {
            file: package.url.clone(),
            reason: format!("its data cannot be unpacked: {error}"),
        };
        let tree = Tree::open(&self.root).map_err(|source| self.file("open the tree", "", source))?;
        let data: Box<dyn Read + '_> = match plain {
            Some(file) => Box::new(BufReader::with_capacity(1 << 18, file)),
            None => deb.data()?,
        };
        let mut archive = tar::Archive::new(data);
        let (mut paths, mut digests) = (Vec::new(), Vec::new());
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let path = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let listed = if path.is_empty() { "/.".to_owned() } else { format!("/{path}") };
            if self.place(
                &tree,
                position,
                &path,
                &listed,
                &mut entry,
                conffiles.contains(listed.as_str()),
                &mut digests,
            )? {
                paths.push(listed);
            }
        }
        Ok(Unpacked { paths, conffiles: digests, control })
    }

    #[expect(clippy::too_many_arguments, reason = "one entry and all that decides about it")]
    fn place(
        &self,
        tree: &Tree,
        position: usize,
        path: &str,
        listed: &str,
        entry: &mut tar::Entry<'_, Box<dyn Read + '_>>,
        conffile: bool,
        digests: &mut Vec<(String, String)>,
    ) -> Result<bool, DistroError> {
        let failed = |source| self.file("unpack", path, source);
        let header = entry.header();
        let number = |value: std::io::Result<u64>| value.map(|value| u32::try_from(value).unwrap_or(0));
        let attributes = Attributes {
            mode: header.mode().map_err(failed)? & 0o7777,
            uid: number(header.uid()).map_err(failed)?,
            gid: number(header.gid()).map_err(failed)?,
            mtime: header.mtime().map_err(failed)?.cast_signed(),
        };
        let kind = header.entry_type();
        let device = || -> std::io::Result<(u32, u32)> {
            Ok((header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0)))
        };
        if kind.is_dir() {
            self.folder(tree, position, path, attributes).map_err(failed)?;
            return Ok(true);
        }
        let Some(_claim) = self.claim(position, listed)? else { return Ok(false) };
        let package = &self.packages[position].name;
        let target = match self.diversions.get(listed) {
            Some((to, by)) if by != package => to.trim_start_matches('/'),
            _ => path,
        };
        let target = target.as_bytes();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        match kind {
            tar::EntryType::Symlink => tree.symlink(&link, target, attributes).map_err(failed)?,
            tar::EntryType::Link => {
                tree.hard_link(normal(&String::from_utf8_lossy(&link)).as_bytes(), target).map_err(failed)?;
            }
            tar::EntryType::Char => {
                let device = device().map_err(failed)?;
                tree.node(target, FileType::CharacterDevice, device, attributes).map_err(failed)?;
            }
            tar::EntryType::Block => {
                let device = device().map_err(failed)?;
                tree.node(target, FileType::BlockDevice, device, attributes).map_err(failed)?;
            }
            tar::EntryType::Fifo => tree.node(target, FileType::Fifo, (0, 0), attributes).map_err(failed)?,
            _ if conffile => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(failed)?;
                digests.push((listed.to_owned(), hex(&Md5::digest(&content))));
                tree.write(target, attributes, &[], &mut content.as_slice()).map_err(failed)?;
            }
            _ => {
                let xattrs = xattrs(entry).map_err(failed)?;
                tree.write(target, attributes, &xattrs, entry).map_err(failed)?;
            }
        }
        Ok(true)
    }

    /// Sets the folders' attributes and forgets them; call it when no thread unpacks. Returns what packages lost to others.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn finish(&self) -> Result<HashSet<(usize, String)>, DistroError> {
        let tree = Tree::open(&self.root).map_err(|source| self.file("open the tree", "", source))?;
        for (path, (_, attributes)) in std::mem::take(&mut *lock(&self.folders)) {
            tree.set_dir(path.as_bytes(), attributes).map_err(|source| self.file("set the mode of", &path, source))?;
        }
        Ok(std::mem::take(&mut lock(&self.lost)))
    }

    fn folder(&self, tree: &Tree, position: usize, path: &str, attributes: Attributes) -> std::io::Result<()> {
        let mut folders = lock(&self.folders);
        if let Some((first, known)) = folders.get_mut(path) {
            if position < *first {
                (*first, *known) = (position, attributes);
            }
            return Ok(());
        }
        if path.is_empty() {
            folders.insert(String::new(), (position, attributes));
            return Ok(());
        }
        // An earlier stage's folder keeps its attributes; so does what a script made.
        if tree.make_dir(path.as_bytes())? {
            folders.insert(path.to_owned(), (position, attributes));
        }
        Ok(())
    }

    /// The right of the package at `position` to write `path`, when it has it.
    fn claim<'c>(&'c self, position: usize, path: &'c str) -> Result<Option<Claim<'c>>, DistroError> {
        let mut owners = lock(&self.owners);
        while let Some((other, placed)) = owners.get(path).copied().filter(|(other, _)| *other != position) {
            let (this, that) = (&self.packages[position], &self.packages[other]);
            let replaces = |a: &Package, b: &Package| {
                a.replaces.iter().any(|relation| relation.name == b.name && relation.admits(&b.version))
            };
            let diverted = self.diversions.get(path).is_some_and(|(_, by)| *by == this.name || *by == that.name);
            if replaces(this, that) {
                if !placed {
                    // Else the loser, which is about to write, would have the last word.
                    owners = self.placed.wait(owners).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                lock(&self.lost).insert((other, path.to_owned()));
            } else if replaces(that, this) {
                return Ok(None);
            } else if !diverted {
                return Err(DistroError::Unsatisfiable(format!(
                    "{path} is in {} and in {}; ask for only one of them",
                    that.name, this.name
                )));
            }
            break;
        }
        owners.insert(path.to_owned(), (position, false));
        Ok(Some(Claim { owners: &self.owners, placed: &self.placed, position, path }))
    }

    fn file(&self, action: &'static str, path: &str, source: std::io::Error) -> DistroError {
        DistroError::File { action, path: self.root.join(path), source }
    }
}

/// The right to write a file. When it is given up, the file is there, or has failed for good.
#[derive(Debug)]
struct Claim<'a> {
    owners: &'a Mutex<HashMap<String, (usize, bool)>>,
    placed: &'a Condvar,
    position: usize,
    path: &'a str,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((owner, placed)) = lock(self.owners).get_mut(self.path)
            && *owner == self.position
        {
            *placed = true;
        }
        self.placed.notify_all();
    }
}

/// A path of an archive, relative to the root, without `.` and empty parts.
fn normal(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn xattrs(entry: &mut tar::Entry<'_, Box<dyn Read + '_>>) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for extension in extensions {
        let extension = extension?;
        if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
            found.push((name.to_owned(), extension.value_bytes().to_owned()));
        }
    }
    Ok(found)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::dpkg_database::Database;
    use super::super::fixture::{Entry, deb};
    use super::super::relation::relations;
    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    fn package(name: &str, replaces: &str) -> Package {
        Package {
            name: name.into(),
            version: "1".into(),
            architecture: "amd64".into(),
            url: format!("file:/{name}.deb"),
            size: 0,
            sha256: String::new(),
            essential: false,
            priority: String::new(),
            pre_depends: vec![],
            depends: vec![],
            conflicts: vec![],
            replaces: relations(replaces).into_iter().flatten().collect(),
            provides: vec![],
            not_automatic: false,
        }
    }

    fn control(name: &str) -> String {
        format!(
            "Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: M <m@example.com>\nDescription: test\n more\n"
        )
    }

    #[test]
    fn files_links_modes_and_times_arrive_and_dpkg_reads_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
        let packages = [package("a", "")];
        let unpacker = Unpacker::new(root, &packages);
        let bytes = deb(
            &control("a"),
            &[("conffiles", "/etc/a.conf\n"), ("triggers", "interest-noawait /usr/share/a\n")],
            &[
                Entry::Dir("./", 0o755),
                Entry::Dir("./etc/", 0o750),
                Entry::File("./etc/a.conf", 0o640, "x"),
                Entry::Dir("./lib/", 0o755),
                Entry::File("./lib/program", 0o4755, "code"),
                Entry::Hard("./lib/twin", "./lib/program"),
                Entry::Link("./lib/link", "/absolute"),
                Entry::File("./usr/share/a/data", 0o644, "d"),
            ],
        );
        let unpacked = unpacker.unpack(0, &bytes, None).unwrap();
        assert_eq!(unpacked.conffiles, [("/etc/a.conf".to_owned(), "9dd4e461268c8034f5c8564e155c67a6".to_owned())]);
        assert_eq!(unpacked.paths[..3], ["/.", "/etc", "/etc/a.conf"]);
        let lost = unpacker.finish().unwrap();
        assert!(root.join("lib").is_symlink(), "a merged /usr stays merged");
        let program = root.join("usr/lib/program").metadata().unwrap();
        assert_eq!(
            (program.permissions().mode() & 0o7777, program.mtime(), program.nlink()),
            (0o4755, 1_700_000_000, 2)
        );
        assert_eq!(root.join("etc").metadata().unwrap().permissions().mode() & 0o7777, 0o750);
        assert_eq!(root.join("lib/link").read_link_utf8().unwrap(), "/absolute");
        Database::open(root).unwrap().add_unpacked(&[(0, unpacked)], &lost).unwrap();
        let admin = format!("--admindir={root}/var/lib/dpkg");
        let query = ["dpkg-query", &admin, "-W", "-f", "${Package} ${Status} ${Conffiles}", "a"];
        let output = Command::new(query).check(&Events::none()).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "a install ok unpacked  /etc/a.conf 9dd4e461268c8034f5c8564e155c67a6");
        let output = Command::new(["dpkg-query", &admin, "-S", "/lib/twin"]).check(&Events::none()).unwrap();
        assert_eq!(output.stdout, b"a: /lib/twin\n");
        assert_eq!(std::fs::read_to_string(root.join("var/lib/dpkg/triggers/Unincorp")).unwrap(), "/usr/share/a -\n");
    }

    #[test]
    fn nothing_is_written_outside_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let root = top.join("root");
        std::fs::create_dir_all(top.join("outside")).unwrap();
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink(top.join("outside"), root.join("evil")).unwrap();
        std::os::unix::fs::symlink("../../outside", root.join("up")).unwrap();
        let packages = [package("a", ""), package("b", ""), package("c", "")];
        let unpacker = Unpacker::new(&root, &packages);
        for (position, path) in ["./evil/file", "./up/file", "./../outside/file"].into_iter().enumerate() {
            let _ = unpacker.unpack(
                position,
                &deb(&control(["a", "b", "c"][position]), &[], &[Entry::File(path, 0o644, "x")]),
                None,
            );
        }
        assert_eq!(top.join("outside").read_dir_utf8().unwrap().count(), 0);
    }

    #[test]
    fn two_packages_share_a_file_only_when_one_replaces_the_other() {
        for (replaces, order) in [("a", [0, 1]), ("a", [1, 0]), ("", [0, 1])] {
            let folder = tempfile::tempdir().unwrap();
            let root = Utf8Path::from_path(folder.path()).unwrap();
            let packages = [package("a", ""), package("b", replaces)];
            let unpacker = Unpacker::new(root, &packages);
            let debs = [
                deb(&control("a"), &[], &[Entry::File("./f", 0o644, "from a")]),
                deb(&control("b"), &[], &[Entry::File("./f", 0o644, "from b")]),
            ];
            unpacker.unpack(order[0], &debs[order[0]], None).unwrap();
            let second = unpacker.unpack(order[1], &debs[order[1]], None);
            if replaces.is_empty() {
                let error = second.unwrap_err().to_string();
                assert!(error.contains("/f is in a and in b"), "{error}");
            } else {
                second.unwrap();
                assert_eq!(std::fs::read_to_string(root.join("f")).unwrap(), "from b");
            }
        }
    }

    #[test]
    fn who_replaces_a_file_that_is_being_written_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [package("a", ""), package("b", "a")];
        let unpacker = Unpacker::new(Utf8Path::from_path(folder.path()).unwrap(), &packages);
        let first = unpacker.claim(0, "/f").unwrap().unwrap();
        let (sender, claimed) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(unpacker.claim(1, "/f").unwrap().is_some()).unwrap());
            assert!(claimed.recv_timeout(std::time::Duration::from_millis(50)).is_err());
            drop(first);
            assert!(claimed.recv().unwrap());
        });
        assert!(unpacker.finish().unwrap().contains(&(0, "/f".to_owned())));
    }

    #[test]
    fn a_folder_behind_a_link_is_looked_for_in_the_tree_and_not_on_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let root = top.join("root");
        std::fs::create_dir_all(root.join("inside")).unwrap();
        // In the tree the link leads to /inside, on the host to nowhere.
        std::os::unix::fs::symlink("/inside", root.join("link")).unwrap();
        std::fs::create_dir(root.join("inside/old")).unwrap();
        std::fs::set_permissions(root.join("inside/old"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let packages = [package("a", "")];
        let unpacker = Unpacker::new(&root, &packages);
        let data = [Entry::Dir("./link/old/", 0o755), Entry::Dir("./link/new/", 0o750)];
        unpacker.unpack(0, &deb(&control("a"), &[], &data), None).unwrap();
        unpacker.finish().unwrap();
        let mode = |path: &str| root.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("inside/old"), mode("inside/new")), (0o700, 0o750));
    }

    #[test]
    fn diverted_files_go_where_the_diversion_says() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
        std::fs::write(root.join("var/lib/dpkg/diversions"), "/bin/sh\n/bin/sh.distrib\ndash\n").unwrap();
        let packages = [package("dash", ""), package("other", "")];
        let mut unpacker = Unpacker::new(root, &packages);
        unpacker.read_diversions();
        for position in [0, 1] {
            let text = ["dash", "other"][position];
            unpacker
                .unpack(position, &deb(&control(text), &[], &[Entry::File("./bin/sh", 0o755, text)]), None)
                .unwrap();
        }
        assert_eq!(std::fs::read_to_string(root.join("bin/sh")).unwrap(), "dash");
        assert_eq!(std::fs::read_to_string(root.join("bin/sh.distrib")).unwrap(), "other");
    }

    #[test]
    fn a_truncated_archive_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [package("a", "")];
        let unpacker = Unpacker::new(Utf8Path::from_path(folder.path()).unwrap(), &packages);
        let whole = deb(&control("a"), &[], &[Entry::File("./f", 0o644, "x")]);
        for length in [0, 20, 90, whole.len() - 8] {
            let error = unpacker.unpack(0, &whole[..length], None).unwrap_err().to_string();
            assert!(error.contains("file:/a.deb"), "{error}");
        }
    }
}
