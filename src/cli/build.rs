//! `kiln build`: plans, checks, builds, and shows how it goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::prepare::{Prepared, prepare};
use super::words::ImageArgs;
use super::{checks, variables};
use crate::builder::parent::{self, Outcome, Settings};
use crate::event::Events;
use crate::ui::{Form, Options, Screen, Verbosity};

/// Words of `kiln build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    image: ImageArgs,
    /// Run every step, whatever earlier builds left in the store; keep nothing but packages
    #[arg(long)]
    no_cache: bool,
    /// Show what commands print
    #[arg(short, long)]
    verbose: bool,
    /// Show warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// How to show what happens
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// File that takes everything that is said [default: a file in the store]
    #[arg(long, value_name = "FILE")]
    logfile: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For a person
    Text,
    /// The events themselves, one JSON object a line
    Json,
}

/// Builds an image.
pub fn run(args: BuildArgs) -> ExitCode {
    let prepared = prepare(&args.image, super::colour()).and_then(|prepared| {
        checks::check(&prepared.plan, &prepared.store)?;
        Ok(prepared)
    });
    let Prepared { plan, store } = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return super::refuse(&message),
    };
    let log = args.logfile.clone().unwrap_or_else(|| log_path(&store, &plan.name));
    let repeat = command_line(&plan.variables);
    let screen = match screen(&args, &log, repeat) {
        Ok(screen) => Mutex::new(screen),
        Err(error) => {
            return super::refuse(&format!("cannot write the log {log}: {error}; name another with --logfile"));
        }
    };
    let events = Events::new(move |event| {
        // A screen that cannot be written is no reason to stop building.
        if let Ok(mut screen) = screen.lock() {
            let _ = screen.handle(&event);
        }
    });
    let outcome = parent::build(&plan, &Settings { store, reuse: !args.no_cache }, &events);
    match outcome {
        Outcome::Built => ExitCode::SUCCESS,
        Outcome::Failed { status } => ExitCode::from(status),
        Outcome::Interrupted { signal } => {
            eprintln!("interrupted; nothing of the build is left, its finished steps are kept for the next one");
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(130))
        }
    }
}

/// What shows the build: text on standard error, or events on standard output.
fn screen(args: &BuildArgs, log: &Utf8Path, repeat: String) -> io::Result<Screen> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = BufWriter::new(fs::File::create(log)?);
    let form = match args.log_format {
        LogFormat::Json => Form::Json,
        LogFormat::Text if super::is_terminal() => Form::Terminal,
        LogFormat::Text => Form::Lines,
    };
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let options = Options { form, verbosity, colour: super::colour(), log: Some(log.to_owned()), repeat: Some(repeat) };
    let out: Box<dyn Write + Send> = match form {
        Form::Json => Box::new(io::stdout()),
        Form::Terminal | Form::Lines => Box::new(io::stderr()),
    };
    Ok(Screen::new(options, out).with_log(Box::new(file)))
}

/// `STORE/logs/NAME.log`: the last build of each name; the path is known before the build.
fn log_path(store: &Utf8Path, name: &str) -> Utf8PathBuf {
    store.join("logs").join(format!("{name}.log"))
}

/// The words of this process with the variables that matter, quoted for a shell: what repeats the build. `planned` also has
/// what elements set; only what the environment says is repeated.
fn command_line(planned: &BTreeMap<String, String>) -> String {
    let secret = |name: &str| ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.contains(word));
    let variables = planned
        .iter()
        .filter(|(name, value)| variables::var(name).as_ref() == Some(value) && !secret(name))
        .map(|(name, value)| format!("{name}={}", quote(value)));
    let words = std::env::args_os().map(|word| quote(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_are_quoted_so_that_a_shell_gives_them_back() {
        assert_eq!(quote("debian-minimal"), "debian-minimal");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote(""), "''");
    }
}
