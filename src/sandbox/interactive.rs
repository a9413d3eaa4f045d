//! A command that talks to the user.
//!
//! In: words, variables, a place, the user's terminal. Out: its exit status. Not here: commands whose output is read (`command`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use camino::Utf8Path;

use super::chroot::Chroot;
use super::setup::Setup;

/// Standard input and error of the process that the user started, handed down through a builder's arguments.
#[derive(Debug)]
pub struct Terminal {
    input: File,
    output: File,
}

/// This process's own standard input and error as descriptors that a builder can be given, and the word that names them there.
///
/// # Errors
/// When a descriptor cannot be duplicated.
pub fn own() -> io::Result<(String, [OwnedFd; 2])> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stderr().as_fd().try_clone_to_owned()?;
    Ok((format!("{},{}", input.as_raw_fd(), output.as_raw_fd()), [input, output]))
}

impl Terminal {
    /// The terminal that `word` ([`own`]) names. Call it before anything else opens files.
    ///
    /// # Errors
    /// The word names no open descriptors.
    pub fn named(word: &str) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{word}` names no descriptors"));
        let (input, output) = word.split_once(',').ok_or_else(wrong)?;
        let open = |number: &str, write: bool| {
            File::options().read(!write).write(write).open(format!("/proc/self/fd/{number}"))
        };
        Ok(Self { input: open(input, false)?, output: open(output, true)? })
    }
}

/// Runs `words` with `variables` in `directory`, inside `chroot` when there is one, on `terminal`, else without input and with
/// output that goes nowhere. Returns the exit status.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    words: &[&str],
    variables: &BTreeMap<String, String>,
    directory: &Utf8Path,
    chroot: Option<&Chroot>,
    terminal: Option<&Terminal>,
) -> io::Result<i32> {
    let setup = match chroot {
        Some(chroot) => chroot.setup()?,
        None => Setup::host(),
    };
    let setup = setup.in_directory(Some(directory));
    let own = setup.clone();
    let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("no command"))?;
    let mut expression = duct::cmd(*program, arguments).full_env(variables).unchecked().before_spawn(move |command| {
        own.attach(command);
        Ok(())
    });
    if chroot.is_none() {
        expression = expression.dir(directory);
    }
    let expression = match terminal {
        Some(terminal) => {
            let (output, errors) = (terminal.output.try_clone()?, terminal.output.try_clone()?);
            expression.stdin_file(terminal.input.try_clone()?).stdout_file(output).stderr_file(errors)
        }
        None => expression.stdin_null().stdout_null().stderr_null(),
    };
    let result = expression.run();
    setup.tidy();
    Ok(result?.status.code().unwrap_or(1))
}
