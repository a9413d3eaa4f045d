//! Runs one command, on the host's tree or inside the image's.
//!
//! In: an argument list, an environment, a [`Place`]. Out: its status and output, each line also said as an event.
//! A command inside the image gets mount and PID namespaces of its own with `/proc`, `/sys`, `/dev` and the binds asked for: they
//! end with the command, so the tree never carries a mount and nothing it started stays. On the host its session is killed and
//! what left the session is not waited for. Not here: which packages or files the command is about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::chroot::Chroot;
use super::confinement::Confinement;
use super::lines;
use super::setup::Setup;
use crate::event::Events;

/// How many of a command's last lines an error carries.
const LAST_LINES: usize = 20;

/// Where every command's program is looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a command sees the world.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// The tree that kiln itself sees.
    #[default]
    Host,
    /// The image.
    Chroot(Chroot),
}

/// A command to run.
#[derive(Clone, Debug)]
pub struct Command {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    stdin: Vec<u8>,
    /// Read instead of `stdin`; taken when the command starts, so that the writer notices its end.
    pipe: Option<Arc<Mutex<Option<PipeReader>>>>,
    directory: Option<Utf8PathBuf>,
    timeout: Option<Duration>,
    quiet: bool,
    umask: u32,
    without_network: bool,
    confinement: Option<Confinement>,
    place: Place,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status; 128 + signal when it was killed.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot start `{program}`{place}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Empty, or ` in PATH`.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with a status other than 0.
    #[error("`{command}` ended with status {status}{}", tail_text(.tail))]
    Status {
        /// The command line, shortened.
        command: String,
        /// Exit status; 128 + signal.
        status: i32,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It took too long and was killed.
    #[error("`{command}` was killed after {seconds} s")]
    Timeout {
        /// The command line, shortened.
        command: String,
        /// The limit.
        seconds: u64,
    },
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() { String::new() } else { format!("; its last lines:\n  {}", tail.join("\n  ")) }
}

impl Command {
    /// A command of these words, with an environment of `PATH`, `HOME=/root` and `LC_ALL=C.UTF-8` only.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        let env = [("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")];
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            stdin: Vec::new(),
            pipe: None,
            directory: None,
            timeout: None,
            quiet: false,
            umask: 0o022,
            without_network: false,
            confinement: None,
            place: Place::Host,
        }
    }

    /// Runs inside `chroot`.
    pub fn inside(mut self, chroot: &Chroot) -> Self {
        self.place = Place::Chroot(chroot.clone());
        self
    }

    /// Sets a variable.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Gives it exactly these variables.
    pub fn environment(mut self, variables: BTreeMap<String, String>) -> Self {
        self.env = variables;
        self
    }

    /// Modes that its new files do not get (022 unless said otherwise).
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = mask;
        self
    }

    /// Takes the network away, also on the host's side.
    pub fn without_network(mut self, without: bool) -> Self {
        self.without_network = without;
        self
    }

    /// Lets it write only where `confinement` says.
    pub fn confined(mut self, confinement: Option<&Confinement>) -> Self {
        self.confinement = confinement.cloned();
        self
    }

    /// Gives it something to read.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets it read from `pipe`, which somebody else fills. It can be run once.
    pub fn stdin_pipe(mut self, pipe: PipeReader) -> Self {
        self.pipe = Some(Arc::new(Mutex::new(Some(pipe))));
        self
    }

    /// Runs it in this folder (inside the image when it runs there).
    pub fn directory(mut self, directory: &Utf8Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Kills it, and what it started, after `limit`.
    pub fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.timeout = limit;
        self
    }

    /// Does not say its standard output as events: it is data.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The command line as a person would type it, at most 200 characters.
    pub fn line(&self) -> String {
        let mut line = self.argv.join(" ");
        if line.chars().count() > 200 {
            line = line.chars().take(199).chain(['…']).collect();
        }
        line
    }

    /// Runs it and waits; a status other than 0 is not an error.
    ///
    /// # Errors
    /// When it cannot be started or runs into its time limit.
    pub fn run(&self, events: &Events) -> Result<Output, CommandError> {
        let start = |source| CommandError::Start {
            program: self.argv.first().cloned().unwrap_or_default(),
            place: match &self.place {
                Place::Host => String::new(),
                Place::Chroot(chroot) => format!(" inside {}", chroot.root()),
            },
            source,
        };
        let setup = match &self.place {
            Place::Host => Setup::host(),
            Place::Chroot(chroot) => chroot.setup().map_err(start)?,
        }
        .in_directory(self.directory.as_deref())
        .with_umask(self.umask)
        .without_network(self.without_network)
        .confined(self.confinement.clone());
        let output = self.run_in(&setup, events, start);
        setup.tidy();
        output
    }

    fn run_in(
        &self,
        setup: &Setup,
        events: &Events,
        start: impl Fn(std::io::Error) -> CommandError,
    ) -> Result<Output, CommandError> {
        let (out_read, out_write) = std::io::pipe().map_err(&start)?;
        let (err_read, err_write) = std::io::pipe().map_err(&start)?;
        // Its writing end closes at the command's end, which the readers notice.
        let (ended, running) = std::io::pipe().map_err(&start)?;
        let (mut argv, directory) = (self.argv.iter(), self.directory.as_deref());
        let program = argv.next().cloned().unwrap_or_default();
        let setup = setup.clone();
        let mut expression = duct::cmd(program, argv)
            .full_env(&self.env)
            .stdin_file(self.input().map_err(&start)?)
            .stdout_file(out_write)
            .stderr_file(err_write)
            .unchecked()
            .before_spawn(move |command| {
                setup.attach(command);
                Ok(())
            });
        if let (Place::Host, Some(directory)) = (&self.place, directory) {
            expression = expression.dir(directory);
        }
        let (status, stdout, stderr) = thread::scope(|scope| {
            let handle = expression.start().map_err(&start)?;
            // The expression holds our ends of the pipes: the readers below would wait for them.
            drop(expression);
            let (quiet, ended) = (self.quiet, &ended);
            let reader = |pipe: PipeReader, quiet| scope.spawn(move || lines::read(pipe, ended, events, quiet));
            let (out, err) = (reader(out_read, quiet), reader(err_read, false));
            let status = self.wait(&handle);
            drop(running);
            let collect = |thread: thread::ScopedJoinHandle<'_, Vec<u8>>| thread.join().unwrap_or_default();
            let read = (collect(out), collect(err));
            // Its children on the host; inside the image they are gone already.
            kill_session(&handle);
            Ok::<_, CommandError>((status?, read.0, read.1))
        })?;
        Ok(Output { status, stdout, stderr })
    }

    /// Runs it and waits; anything but status 0 is an error with its last lines.
    ///
    /// # Errors
    /// As [`Self::run`], and [`CommandError::Status`].
    pub fn check(&self, events: &Events) -> Result<Output, CommandError> {
        let output = self.run(events)?;
        if output.status == 0 {
            return Ok(output);
        }
        let mut tail = last_lines(&output.stderr);
        if tail.is_empty() {
            tail = last_lines(&output.stdout);
        }
        Err(CommandError::Status { command: self.line(), status: output.status, tail })
    }

    fn input(&self) -> std::io::Result<OwnedFd> {
        let pipe = self.pipe.as_ref().and_then(|pipe| pipe.lock().ok()?.take());
        pipe.map_or_else(|| in_memory(&self.stdin).map(OwnedFd::from), |pipe| Ok(pipe.into()))
    }

    fn wait(&self, handle: &duct::Handle) -> Result<i32, CommandError> {
        let ended = match self.timeout {
            None => handle.wait().map(Some),
            Some(limit) => handle.wait_deadline(Instant::now() + limit),
        };
        match ended {
            Ok(Some(output)) => Ok(code(output.status)),
            Ok(None) => {
                kill_session(handle);
                let _ = handle.wait();
                Err(CommandError::Timeout { command: self.line(), seconds: self.timeout.unwrap_or_default().as_secs() })
            }
            Err(source) => Err(CommandError::Start { program: self.line(), place: String::new(), source }),
        }
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn kill_session(handle: &duct::Handle) {
    for pid in handle.pids() {
        let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
}

/// Something to read that needs no thread to feed it, which a command that does not read could hold up.
fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    if bytes.is_empty() {
        return File::open("/dev/null");
    }
    let mut file: File = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?.into();
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new(["/bin/sh", "-c", script])
    }

    #[test]
    fn a_daemon_that_keeps_the_pipes_does_not_keep_us() {
        let begun = Instant::now();
        let output = shell("setsid sleep 20 & sleep 0.1; echo out; echo err >&2").run(&Events::none()).unwrap();
        assert_eq!((output.status, output.stdout, output.stderr), (0, b"out\n".to_vec(), b"err\n".to_vec()));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_daemon_that_never_falls_silent_does_not_keep_us() {
        let begun = Instant::now();
        let chatter = "setsid sh -c 'for i in $(seq 300); do echo x; sleep 0.05; done' & sleep 0.1";
        shell(chatter).run(&Events::none()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn the_time_limit_holds_when_a_daemon_keeps_the_pipes() {
        let begun = Instant::now();
        let limit = Some(Duration::from_millis(300));
        let error = shell("setsid sleep 20 & sleep 20").timeout(limit).run(&Events::none()).unwrap_err();
        assert!(matches!(error, CommandError::Timeout { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn long_input_and_long_output_arrive_whole() {
        let text: Vec<u8> = (0..200_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let output = Command::new(["cat"]).quiet().stdin(text.clone()).run(&Events::none()).unwrap();
        assert_eq!(output.stdout, text);
        // One that does not read its input ends all the same.
        assert_eq!(Command::new(["true"]).stdin(text).run(&Events::none()).unwrap().status, 0);
    }

    #[test]
    fn each_line_is_said_once_and_the_last_needs_no_end() {
        let said = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = std::sync::Arc::clone(&said);
        let events = Events::new(move |event| {
            if let crate::event::Event::Output { line } = event {
                heard.lock().unwrap().push(line);
            }
        });
        shell("printf 'a\\nb'; sleep 0.1; printf 'c\\n\\nd'").run(&events).unwrap();
        assert_eq!(*said.lock().unwrap(), ["a", "bc", "", "d"]);
    }
}
