//! What a command inside the image sees: its own mounts, no network unless granted.
//!
//! In: the root tree, binds, a wish for the network. Out: a [`Setup`] that runs in the forked child before it executes.
//! The mounts live in the child's own mount namespace and end with it. Not here: starting the command (`command`).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::process::CommandExt;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// A root tree to run commands in.
#[derive(Clone, Debug)]
pub struct Chroot {
    root: Utf8PathBuf,
    binds: Vec<Bind>,
    network: bool,
}

/// A host path made visible inside.
#[derive(Clone, Debug)]
struct Bind {
    from: Utf8PathBuf,
    inside: Utf8PathBuf,
    read_only: bool,
}

impl Chroot {
    /// The tree at `root`: no network, no binds.
    pub fn new(root: &Utf8Path) -> Self {
        Self { root: root.to_owned(), binds: Vec::new(), network: false }
    }

    /// The host path of the tree.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The same tree with the host's network and name servers.
    pub fn with_network(mut self) -> Self {
        self.network = true;
        self
    }

    /// The same tree with the host's `from` (a file or a folder) at `inside`. What is mounted over must exist.
    pub fn with_bind(mut self, from: &Utf8Path, inside: &Utf8Path, read_only: bool) -> Self {
        self.binds.push(Bind { from: from.to_owned(), inside: inside.to_owned(), read_only });
        self
    }

    /// Prepares everything that the child may not allocate for.
    pub(super) fn setup(&self) -> io::Result<Setup> {
        let mut steps = Vec::new();
        let inside = |path: &str| c_string(&format!("{}/{}", self.root, path.trim_start_matches('/')));
        steps.push(Step::mount(None, c"/".to_owned(), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE));
        let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        steps.push(Step::mount(Some(c"proc"), inside("proc")?, Some(c"proc"), hidden | MsFlags::MS_NODEV));
        let read_only = hidden | MsFlags::MS_NODEV | MsFlags::MS_RDONLY;
        steps.push(Step::mount(Some(c"sysfs"), inside("sys")?, Some(c"sysfs"), read_only));
        steps.push(Step::mount(Some(c"tmpfs"), inside("dev")?, Some(c"tmpfs"), hidden));
        for node in ["null", "zero", "full", "random", "urandom", "tty"] {
            steps.push(Step::File(inside(&format!("dev/{node}"))?));
            let from = c_string(&format!("/dev/{node}"))?;
            steps.push(Step::mount(Some(&from), inside(&format!("dev/{node}"))?, None, MsFlags::MS_BIND));
        }
        for directory in ["dev/pts", "dev/shm"] {
            steps.push(Step::Directory(inside(directory)?));
        }
        let pts = Step::mount(Some(c"devpts"), inside("dev/pts")?, Some(c"devpts"), hidden);
        steps.push(pts.with_data(c"newinstance,ptmxmode=0666,mode=0620"));
        steps.push(Step::mount(Some(c"tmpfs"), inside("dev/shm")?, Some(c"tmpfs"), hidden | MsFlags::MS_NODEV));
        for (link, to) in [
            ("ptmx", c"pts/ptmx"),
            ("fd", c"/proc/self/fd"),
            ("stdin", c"/proc/self/fd/0"),
            ("stdout", c"/proc/self/fd/1"),
            ("stderr", c"/proc/self/fd/2"),
        ] {
            steps.push(Step::Symlink(to.to_owned(), inside(&format!("dev/{link}"))?));
        }
        for bind in &self.binds {
            let (from, at) = (c_string(bind.from.as_str())?, inside(bind.inside.as_str())?);
            steps.push(Step::mount(Some(&from), at.clone(), None, MsFlags::MS_BIND));
            if bind.read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                steps.push(Step::mount(None, at, None, flags));
            }
        }
        if self.network {
            steps.extend(self.name_servers()?);
        }
        let mut namespaces = CloneFlags::CLONE_NEWNS;
        if !self.network {
            namespaces |= CloneFlags::CLONE_NEWNET;
        }
        Ok(Setup { namespaces, steps, root: Some(c_string(self.root.as_str())?), directory: None })
    }

    /// Shows the host's resolv.conf in the image without writing to it: over the file that is there, else in a copy of
    /// `/etc`'s place on a tmpfs is not possible, so an absent file means a mount over an empty one made for the purpose.
    fn name_servers(&self) -> io::Result<Vec<Step>> {
        let host = Utf8Path::new("/etc/resolv.conf");
        let image = self.root.join("etc/resolv.conf");
        if !host.exists() {
            return Ok(Vec::new());
        }
        // A link (systemd-resolved) leads to /run, which is empty here: a tmpfs there holds the file for this command.
        let at = match image.read_link_utf8() {
            Ok(to) => {
                let to = if to.is_absolute() { to } else { Utf8Path::new("/etc").join(to) };
                let Some(below_run) = normal(&to).strip_prefix("/run").ok().map(Utf8Path::to_owned) else {
                    return Ok(Vec::new());
                };
                let run = self.root.join("run");
                let file = run.join(&below_run);
                let mut steps = vec![Step::mount(
                    Some(c"tmpfs"),
                    c_string(run.as_str())?,
                    Some(c"tmpfs"),
                    MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
                )];
                let mut parents: Vec<&Utf8Path> =
                    file.ancestors().skip(1).take_while(|parent| *parent != run.as_path()).collect();
                parents.reverse();
                for parent in parents {
                    steps.push(Step::Directory(c_string(parent.as_str())?));
                }
                steps.push(Step::File(c_string(file.as_str())?));
                steps.push(Step::mount(
                    Some(&c_string(host.as_str())?),
                    c_string(file.as_str())?,
                    None,
                    MsFlags::MS_BIND,
                ));
                return Ok(steps);
            }
            Err(_) => image,
        };
        let mut steps = Vec::new();
        if !at.exists() {
            steps.push(Step::File(c_string(at.as_str())?));
        }
        steps.push(Step::mount(Some(&c_string(host.as_str())?), c_string(at.as_str())?, None, MsFlags::MS_BIND));
        Ok(steps)
    }
}

fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::from("/");
    for part in path.components() {
        match part {
            camino::Utf8Component::ParentDir => {
                normal.pop();
            }
            camino::Utf8Component::Normal(name) => normal.push(name),
            _ => {}
        }
    }
    normal
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("`{text:?}` holds a NUL byte")))
}

/// What the forked child does before it executes. Holds only prepared strings: the child must not allocate.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    namespaces: CloneFlags,
    steps: Vec<Step>,
    root: Option<CString>,
    directory: Option<CString>,
}

#[derive(Clone, Debug)]
enum Step {
    Mount { from: Option<CString>, at: CString, kind: Option<CString>, flags: MsFlags, data: Option<CString> },
    Directory(CString),
    File(CString),
    Symlink(CString, CString),
}

impl Step {
    fn mount(from: Option<&CStr>, at: CString, kind: Option<&CStr>, flags: MsFlags) -> Self {
        Self::Mount { from: from.map(CStr::to_owned), at, kind: kind.map(CStr::to_owned), flags, data: None }
    }

    fn with_data(mut self, options: &CStr) -> Self {
        if let Self::Mount { data, .. } = &mut self {
            *data = Some(options.to_owned());
        }
        self
    }

    fn carry_out(&self) -> nix::Result<()> {
        match self {
            Self::Mount { from, at, kind, flags, data } => {
                mount(from.as_deref(), at.as_c_str(), kind.as_deref(), *flags, data.as_deref())
            }
            Self::Directory(path) => match nix::unistd::mkdir(path.as_c_str(), Mode::from_bits_truncate(0o755)) {
                Err(nix::Error::EEXIST) => Ok(()),
                other => other,
            },
            Self::File(path) => {
                let flags = nix::fcntl::OFlag::O_CREAT | nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_WRONLY;
                nix::fcntl::open(path.as_c_str(), flags, Mode::from_bits_truncate(0o644)).map(drop)
            }
            Self::Symlink(to, path) => nix::unistd::symlinkat(to.as_c_str(), nix::fcntl::AT_FDCWD, path.as_c_str()),
        }
    }
}

impl Setup {
    /// No other world: only the habits that every command gets.
    pub(super) fn host() -> Self {
        Self { namespaces: CloneFlags::empty(), steps: Vec::new(), root: None, directory: None }
    }

    pub(super) fn in_directory(mut self, directory: Option<&Utf8Path>) -> Self {
        if self.root.is_some() {
            self.directory = directory.and_then(|path| CString::new(path.as_str()).ok());
        }
        self
    }

    /// Makes `command` do all this between fork and exec.
    pub(super) fn attach(&self, command: &mut std::process::Command) {
        let setup = self.clone();
        // SAFETY: between fork and exec the closure makes system calls only, on strings prepared above.
        #[expect(unsafe_code, reason = "pre_exec is how a child enters its namespaces")]
        unsafe {
            command.pre_exec(move || setup.enter().map_err(io::Error::from));
        }
    }

    fn enter(&self) -> nix::Result<()> {
        // Its own group: a time limit and an interrupt kill all of it.
        nix::unistd::setsid()?;
        umask(Mode::from_bits_truncate(0o022));
        // Some tools close every possible descriptor; container hosts allow a billion of them.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard)?;
        if !self.namespaces.is_empty() {
            unshare(self.namespaces)?;
        }
        for step in &self.steps {
            step.carry_out()?;
        }
        if let Some(root) = &self.root {
            nix::unistd::chroot(root.as_c_str())?;
            nix::unistd::chdir(self.directory.as_deref().unwrap_or(c"/"))?;
        }
        Ok(())
    }
}
