//! Starts a program on the host that runs for long beside kiln and dies with it.
//!
//! In: an argument list. Out: a running child with its output as two pipes. However kiln ends, even by SIGKILL, the kernel
//! ends the child. Not here: programs that one waits for (`command`).

use std::io::{self, PipeReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};

use nix::sys::signal::Signal;

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Child {
    handle: duct::Handle,
}

/// What a child writes.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard output.
    pub stdout: PipeReader,
    /// Its standard error.
    pub stderr: PipeReader,
}

/// Starts `argv` with a `PATH` of the usual places, nothing to read and in a session of its own, so that a terminal's
/// interrupt reaches kiln only. The child lives no longer than the thread that starts it.
///
/// # Errors
/// When it cannot be started; the kind is `NotFound` when there is no such program.
pub fn start(argv: &[String]) -> io::Result<(Child, Pipes)> {
    let (stdout, out_write) = io::pipe()?;
    let (stderr, err_write) = io::pipe()?;
    let (program, words) = argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let parent = nix::unistd::getpid();
    let expression = duct::cmd(program, words)
        .full_env([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
        ])
        .stdin_null()
        .stdout_file(out_write)
        .stderr_file(err_write)
        .unchecked()
        .before_spawn(move |command| {
            // SAFETY: between fork and exec the closure makes system calls only.
            #[expect(unsafe_code, reason = "pre_exec is how a child asks to die with its parent")]
            unsafe {
                command.pre_exec(move || {
                    nix::unistd::setsid()?;
                    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
                    // The parent may have died before the request.
                    if nix::unistd::getppid() != parent {
                        return Err(nix::errno::Errno::ESRCH.into());
                    }
                    Ok(())
                });
            }
            Ok(())
        });
    let handle = expression.start()?;
    Ok((Child { handle }, Pipes { stdout, stderr }))
}

impl Child {
    /// Waits for its end. Exit status; 128 + signal when it was killed.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn wait(&self) -> io::Result<i32> {
        let status = self.handle.wait()?.status;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }

    /// Kills it and waits for its end.
    pub fn kill(&self) {
        let _ = self.handle.kill();
        let _ = self.handle.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn words(argv: &[&str]) -> Vec<String> {
        argv.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn output_and_status_come_back() {
        let (child, mut pipes) = start(&words(&["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])).unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        pipes.stdout.read_to_string(&mut out).unwrap();
        pipes.stderr.read_to_string(&mut err).unwrap();
        assert_eq!((out.as_str(), err.as_str(), child.wait().unwrap()), ("out\n", "err\n", 3));
    }

    #[test]
    fn a_program_that_is_not_there_is_told_apart() {
        let error = start(&words(&["kiln-no-such-program"])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let (child, mut pipes) = std::thread::spawn(|| start(&words(&["/bin/sleep", "600"])).unwrap()).join().unwrap();
        pipes.stdout.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(child.wait().unwrap(), 128 + 9);
    }
}
