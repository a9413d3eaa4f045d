//! Starts the builder: another process, in fresh mount, PID, IPC and UTS namespaces, that cannot outlive its parent.
//!
//! In: a program and the ends of its pipes. Out: a [`Builder`] to wait for or to kill. When the parent dies, however it dies,
//! the kernel kills the builder; the builder is the first process of its PID namespace, so with it goes everything it started,
//! and with its mount namespace every mount. Not here: what is said over the pipes (`builder/`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};

use super::host;

/// A running builder.
#[derive(Debug)]
pub struct Builder(Child);

/// Our ends of a builder's pipes.
#[derive(Debug)]
pub struct Pipes {
    /// The plan goes in here.
    pub plan: ChildStdin,
    /// Events come out here.
    pub events: ChildStdout,
    /// What it says when something is badly wrong: panics, the dynamic linker.
    pub complaints: ChildStderr,
}

/// Starts `program` with `arguments` in namespaces of its own. `kept` stay open in the builder (the lock of its work folder).
///
/// Call this on a thread that outlives the builder: the kernel's parent-death signal follows the thread.
///
/// # Errors
/// When the process may not make namespaces, or the program cannot be started.
pub fn start(program: &str, arguments: &[&str], kept: &[OwnedFd]) -> io::Result<(Builder, Pipes)> {
    for fd in kept {
        nix::fcntl::fcntl(fd.as_fd(), nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    }
    // Only children of this thread are affected, and only until the namespace is set back below.
    let own = File::open("/proc/self/ns/pid")?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|error| denied(error, "a PID namespace", host::is_root()))?;
    #[expect(clippy::disallowed_methods, reason = "this room starts processes; the builder is no command")]
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: between fork and exec the closure makes system calls only and allocates nothing.
    #[expect(unsafe_code, reason = "pre_exec is how a child enters its namespaces")]
    unsafe {
        command.pre_exec(|| enter().map_err(io::Error::from));
    }
    let started = command.spawn();
    setns(own, CloneFlags::CLONE_NEWPID)?;
    let mut child =
        started.map_err(|error| io::Error::new(error.kind(), format!("cannot start the builder: {error}")))?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(plan), Some(events), Some(complaints)) => Ok((Builder(child), Pipes { plan, events, complaints })),
        _ => Err(io::Error::other("the builder has no pipes")),
    }
}

fn denied(error: nix::Error, what: &str, root: bool) -> io::Error {
    let hint = match (error, root) {
        (nix::Error::EPERM, true) => "; this container lacks CAP_SYS_ADMIN: run it privileged",
        (nix::Error::EPERM, false) => "; run kiln as root",
        _ => "",
    };
    io::Error::new(io::Error::from(error).kind(), format!("cannot make {what} for the build: {error}{hint}"))
}

fn enter() -> nix::Result<()> {
    // An interrupt from the terminal is for the parent, which decides.
    nix::unistd::setsid()?;
    // A parent that died before this line leaves an empty plan behind, which ends the builder too.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Modes in the image are the program's to choose, not the user's.
    umask(Mode::from_bits_truncate(0o022));
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    nix::unistd::sethostname("localhost")
}

impl Builder {
    /// Waits until it, and everything it started, is gone.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }

    /// Kills it and everything it started.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
    }

    /// A handle for another thread to kill it with. It stays good after the builder's end: it then does nothing, whoever has
    /// the number since.
    ///
    /// # Errors
    /// When descriptors run out, or the kernel (before Linux 5.3) has none for processes.
    pub fn killer(&self) -> io::Result<Killer> {
        let id = rustix::process::Pid::from_child(&self.0);
        Ok(Killer(rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty())?))
    }
}

/// Kills one builder, from any thread.
#[derive(Debug)]
pub struct Killer(OwnedFd);

impl Killer {
    /// Kills the builder and everything it started, if it still runs.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL);
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_this_user_can_do() {
        let root = denied(nix::Error::EPERM, "a PID namespace", true).to_string();
        assert!(root.contains("CAP_SYS_ADMIN") && !root.contains("as root"), "{root}");
        let user = denied(nix::Error::EPERM, "a PID namespace", false).to_string();
        assert!(user.contains("run kiln as root"), "{user}");
        assert!(!denied(nix::Error::ENOSPC, "a PID namespace", true).to_string().contains("CAP_SYS_ADMIN"));
    }

    #[test]
    fn a_killer_ends_the_builder_from_another_thread_and_is_harmless_afterwards() {
        if !host::is_root() {
            return;
        }
        let (mut builder, _pipes) = start("/bin/sleep", &["600"], &[]).unwrap();
        let killer = builder.killer().unwrap();
        let killer = std::thread::spawn(move || {
            killer.kill();
            killer
        });
        let status = builder.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        killer.join().unwrap().kill();
    }
}
