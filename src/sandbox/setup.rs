//! What a forked child does before it executes its program.
//!
//! In: steps on prepared strings (the child of a process with threads must not allocate). Out: a process in its own session, and
//! for a command inside the image in its own mount, PID and perhaps network namespace. Not here: which steps (`chroot`).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::process::CommandExt;

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};

use super::confinement::Confinement;
use super::pid_namespace;

/// What the forked child does before it executes.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) namespaces: CloneFlags,
    pub(super) steps: Vec<Step>,
    pub(super) root: Option<CString>,
    /// An empty file that was made to mount over: gone again after the command.
    pub(super) placeholder: Option<Utf8PathBuf>,
    directory: Option<CString>,
    umask: Mode,
    confinement: Option<Confinement>,
}

/// One of the things to do; every path is one of the host's.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Mount {
        from: Option<CString>,
        at: CString,
        kind: Option<CString>,
        flags: MsFlags,
        data: Option<CString>,
        /// What is to be mounted, or mounted over, need not exist.
        optional: bool,
    },
    Directory(CString),
    File(CString, Vec<u8>),
    Symlink(CString, CString),
    Unlink(CString),
}

impl Step {
    pub(super) fn mount(from: Option<&CStr>, at: CString, kind: Option<&CStr>, flags: MsFlags) -> Self {
        let (from, kind) = (from.map(CStr::to_owned), kind.map(CStr::to_owned));
        Self::Mount { from, at, kind, flags, data: None, optional: false }
    }

    pub(super) fn with_data(mut self, options: &CStr) -> Self {
        if let Self::Mount { data, .. } = &mut self {
            *data = Some(options.to_owned());
        }
        self
    }

    pub(super) fn optional(mut self) -> Self {
        if let Self::Mount { optional, .. } = &mut self {
            *optional = true;
        }
        self
    }

    fn carry_out(&self) -> nix::Result<()> {
        match self {
            Self::Mount { from, at, kind, flags, data, optional } => {
                match mount(from.as_deref(), at.as_c_str(), kind.as_deref(), *flags, data.as_deref()) {
                    Err(nix::Error::ENOENT | nix::Error::EINVAL) if *optional => Ok(()),
                    other => other,
                }
            }
            Self::Directory(path) => match nix::unistd::mkdir(path.as_c_str(), Mode::from_bits_truncate(0o755)) {
                Err(nix::Error::EEXIST) => Ok(()),
                other => other,
            },
            Self::File(path, bytes) => {
                let flags = OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_WRONLY;
                let file = nix::fcntl::open(path.as_c_str(), flags, Mode::from_bits_truncate(0o644))?;
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let written = nix::unistd::write(&file, rest)?;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Ok(())
            }
            Self::Symlink(to, path) => nix::unistd::symlinkat(to.as_c_str(), nix::fcntl::AT_FDCWD, path.as_c_str()),
            Self::Unlink(path) => nix::unistd::unlink(path.as_c_str()),
        }
    }
}

impl Setup {
    /// No other world: only the habits that every command gets.
    pub(super) fn host() -> Self {
        let namespaces = CloneFlags::empty();
        let umask = Mode::from_bits_truncate(0o022);
        Self { namespaces, steps: Vec::new(), root: None, placeholder: None, directory: None, umask, confinement: None }
    }

    pub(super) fn with_umask(mut self, mask: u32) -> Self {
        self.umask = Mode::from_bits_truncate(mask);
        self
    }

    pub(super) fn without_network(mut self, without: bool) -> Self {
        self.namespaces.set(CloneFlags::CLONE_NEWNET, without || self.namespaces.contains(CloneFlags::CLONE_NEWNET));
        self
    }

    pub(super) fn confined(mut self, confinement: Option<Confinement>) -> Self {
        self.confinement = confinement;
        self
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
        // Nobody else would end it: no signal of a terminal reaches its session.
        set_pdeathsig(Signal::SIGKILL)?;
        umask(self.umask);
        // Some tools close every possible descriptor; container hosts allow a billion of them.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard)?;
        if !self.namespaces.is_empty() {
            unshare(self.namespaces)?;
        }
        if self.namespaces.contains(CloneFlags::CLONE_NEWPID) {
            pid_namespace::descend()?;
        }
        for step in &self.steps {
            step.carry_out()?;
        }
        if let Some(root) = &self.root {
            nix::unistd::chroot(root.as_c_str())?;
            nix::unistd::chdir(self.directory.as_deref().unwrap_or(c"/"))?;
        }
        // Last: a confined process mounts nothing any more.
        self.confinement.as_ref().map_or(Ok(()), Confinement::enter)
    }

    /// Takes away what only the mounts needed, once the command is gone. What it filled meanwhile stays.
    pub(super) fn tidy(&self) {
        let Some(path) = &self.placeholder else { return };
        if path.symlink_metadata().is_ok_and(|facts| facts.is_file() && facts.len() == 0) {
            let _ = std::fs::remove_file(path);
        }
    }
}
