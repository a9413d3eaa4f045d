//! `kiln build`: plans, checks, builds, and shows how it goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::dib::environment;
use super::prepare::{self, Prepared};
use super::words::ImageArgs;
use super::{checks, secrets, variables};
use crate::builder::parent::{self, Outcome, Settings};
use crate::element::{architecture, secret};
use crate::event::Events;
use crate::ui::{Form, Options, Screen, Verbosity};

/// Words of `kiln build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    image: ImageArgs,
    /// A secret that elements with the permission `secrets:NAME` may read; may be repeated
    #[arg(long = "secret", value_name = "NAME=FILE")]
    secrets: Vec<String>,
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
    let (prepared, secrets) = match prepared(&args) {
        Ok(prepared) => prepared,
        Err(message) => return super::refuse(&message),
    };
    let (plan, store) = (&prepared.plan, &prepared.store);
    let log = args.logfile.clone().unwrap_or_else(|| log_path(store, &plan.name));
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
    let offline = args.image.offline();
    let run = Run { prepared, reuse: !args.no_cache, keep_old_outputs: false, secrets, offline };
    ExitCode::from(status(&carry_out(&run, &events)))
}

/// Everything up to the slow part.
fn prepared(args: &BuildArgs) -> Result<(Prepared, BTreeMap<String, Utf8PathBuf>), String> {
    let secrets = secrets::read(&args.secrets)?;
    let request = args.image.request()?;
    let (environment, here) = (request.environment.clone(), request.directory.clone());
    let prepared = prepare::plan(request, args.image.store()?, super::colour())?;
    secrets::check(&prepared.plan, &secrets)?;
    checks::check(&prepared.plan, &prepared.store)?;
    environment::make_folders(&environment, &here)?;
    Ok((prepared, secrets))
}

/// A build that nothing stands in the way of.
pub struct Run {
    /// What happens, and where.
    pub prepared: Prepared,
    /// Layers of earlier builds may be used.
    pub reuse: bool,
    /// Outputs that exist are renamed first.
    pub keep_old_outputs: bool,
    /// Files of secrets by their names.
    pub secrets: BTreeMap<String, Utf8PathBuf>,
    /// What was never fetched is not fetched now.
    pub offline: bool,
}

/// Builds; `events` says how it goes.
pub fn carry_out(run: &Run, events: &Events) -> Outcome {
    let Run { prepared: Prepared { plan, store }, reuse, keep_old_outputs, secrets, offline } = run;
    let settings = Settings {
        store: store.clone(),
        reuse: *reuse,
        keep_old_outputs: *keep_old_outputs,
        secrets: secrets.clone(),
        offline: *offline,
    };
    let outcome = parent::build(plan, &settings, events);
    if matches!(outcome, Outcome::Interrupted { .. }) {
        eprintln!("interrupted; nothing of the build is left, its finished steps are kept for the next one");
    }
    outcome
}

/// The exit status that tells `outcome`.
pub fn status(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Built => 0,
        Outcome::Failed { status } => *status,
        Outcome::Interrupted { signal } => u8::try_from(128 + signal).unwrap_or(130),
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
    let options = Options {
        form,
        verbosity,
        colour: super::colour(),
        log: Some(log.to_owned()),
        repeat: Some(repeat),
        ..Options::default()
    };
    let out: Box<dyn Write + Send> = match form {
        Form::Json => Box::new(io::stdout()),
        Form::Terminal | Form::Lines | Form::Transcript => Box::new(io::stderr()),
    };
    Ok(Screen::new(options, out).with_log(Box::new(file)))
}

/// `STORE/logs/NAME.log`: the last build of each name; the path is known before the build.
fn log_path(store: &Utf8Path, name: &str) -> Utf8PathBuf {
    store.join("logs").join(format!("{name}.log"))
}

/// The words of this process with the variables that matter, quoted for a shell: what repeats the build. `planned` also has
/// what elements set; only what the environment says is repeated, and no secret of it: the environment still has those.
fn command_line(planned: &BTreeMap<String, String>) -> String {
    let said = |name: &str, value: &str| {
        variables::var(name)
            .is_some_and(|said| said == value || (name == "ARCH" && architecture::debian(&said) == Some(value)))
    };
    let variables = planned
        .iter()
        .filter(|(name, value)| said(name, value) && may_be_shown(name, value))
        .map(|(name, value)| format!("{name}={}", quote(value)));
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    variables.chain(shown(&words).iter().map(|word| quote(word))).collect::<Vec<_>>().join(" ")
}

/// Whether a variable holds no secret. curl takes proxies with credentials also without a scheme.
fn may_be_shown(name: &str, value: &str) -> bool {
    secret::shown(name, value) == value && !(name.ends_with("_proxy") && value.contains('@'))
}

/// The words of a command line, without the secrets in values of options.
fn shown(words: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(words.len());
    let mut value_follows = false;
    for word in words {
        let (option, text) = match word.strip_prefix("--option=") {
            Some(text) => ("--option=", text),
            None => ("", word.as_str()),
        };
        let is_value = value_follows || !option.is_empty();
        shown.push(match text.split_once('=').filter(|_| is_value) {
            Some((name, value)) => format!("{option}{name}={}", secret::shown(name, value)),
            None => word.clone(),
        });
        value_follows = word == "--option";
    }
    shown
}

/// `word` as a shell reads it back.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{may_be_shown, quote, shown};

    #[test]
    fn what_repeats_a_build_holds_no_secret() {
        let words = [
            "kiln",
            "build",
            "--option",
            "a.password=x",
            "--option=a.api_key=y",
            "--option",
            "d.mirror=http://u:p@h/",
            "vm",
        ];
        let expected = [
            "kiln",
            "build",
            "--option",
            "a.password=(hidden)",
            "--option=a.api_key=(hidden)",
            "--option",
            "d.mirror=http://(hidden)@h/",
            "vm",
        ];
        assert_eq!(shown(&words.map(str::to_owned)), expected);
        assert!(!may_be_shown("http_proxy", "http://u:p@proxy.example:3128"));
        assert!(!may_be_shown("https_proxy", "u:p@proxy.example:3128"));
        assert!(!may_be_shown("DIB_ADMIN_PASSPHRASE", "x"));
        assert!(may_be_shown("http_proxy", "http://proxy.example:3128") && may_be_shown("DIB_RELEASE", "bookworm"));
    }

    #[test]
    fn words_are_quoted_so_that_a_shell_gives_them_back() {
        assert_eq!(quote("debian-minimal"), "debian-minimal");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote(""), "''");
    }
}
