//! `disk-image-create` and `ramdisk-image-create`: from words to a finished image.
//!
//! In: words and an environment. Out: an exit status, and everything that is said in DIB's manner. The build itself is the one
//! of `kiln build`. Not here: what words mean (`request`), how lines look (`ui/transcript`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};

use super::options::{Options, Wish};
use super::{environment, help, options, request};
use crate::builder::parent::Outcome;
use crate::cli::build::{self, Run};
use crate::cli::variables::{self, Environment, value};
use crate::cli::{checks, meaning, prepare};
use crate::element::implicit;
use crate::event::{Event, Events, Failure};
use crate::request::Kind;
use crate::ui::{Form, Screen, Verbosity};

/// A command as it was given.
pub struct Call<'a> {
    /// The name that it was called by.
    pub program: &'a str,
    /// What it makes.
    pub kind: Kind,
    /// Its words.
    pub words: &'a [String],
    /// The environment it was given.
    pub environment: Environment,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: u8,
    /// The user ended it.
    pub interrupted: bool,
}

impl Ended {
    const WELL: Self = Self { status: 0, interrupted: false };
    const BADLY: Self = Self { status: 1, interrupted: false };
}

/// Carries `call` out.
pub fn run(call: Call<'_>) -> Ended {
    let options = match options::read(call.words, call.environment.contains_key("POSIXLY_CORRECT")) {
        Ok(Wish::Help) => {
            crate::cli::print(&help::create(call.program, call.kind));
            return Ended::WELL;
        }
        Ok(Wish::Version) => {
            crate::cli::print(concat!(env!("CARGO_PKG_VERSION"), "\n"));
            return Ended::WELL;
        }
        Ok(Wish::Image(options)) => *options,
        Err(complaints) => {
            for complaint in complaints {
                eprintln!("{}: {complaint}", call.program);
            }
            eprintln!("{}: --help lists the options", call.program);
            return Ended::BADLY;
        }
    };
    let begun = meaning::current_folder().and_then(|here| Ok((screen(&options, &call.environment, &here)?, here)));
    let (screen, here) = match begun {
        Ok(begun) => begun,
        Err(message) => {
            crate::cli::refuse(&message);
            return Ended::BADLY;
        }
    };
    let screen = Mutex::new(screen);
    let events = Events::new(move |event| {
        // A screen that cannot be written is no reason to stop building.
        if let Ok(mut screen) = screen.lock() {
            let _ = screen.handle(&event);
        }
    });
    match prepared(call, &options, &here, &events) {
        Ok(run) => {
            let outcome = build::carry_out(&run, &events);
            Ended { status: build::status(&outcome), interrupted: matches!(outcome, Outcome::Interrupted { .. }) }
        }
        Err(message) => {
            events.send(Event::Failed(Failure { message, exit_status: 1, ..Failure::default() }));
            Ended::BADLY
        }
    }
}

/// Everything up to the slow part, with the lines that DIB says on the way.
fn prepared(call: Call<'_>, options: &Options, here: &Utf8Path, events: &Events) -> Result<Run, String> {
    events.info(concat!("diskimage-builder version ", env!("CARGO_PKG_VERSION"), " (kiln)"));
    let store = meaning::store(options.store.as_deref(), &call.environment)?;
    let mut environment = call.environment;
    if options.clear {
        let (kept, dropped) = environment::clear(&environment);
        environment = kept;
        let known = dropped.iter().filter(|name| variables::is_known(name)).cloned().collect::<Vec<_>>();
        let known = if known.is_empty() { String::new() } else { format!(", among them {}", known.join(" ")) };
        events.info(format!("environment cleared of {} variables{known}", dropped.len()));
    }
    if environment.get("MKFS_OPTS").is_some_and(|text| !text.is_empty()) && options.mkfs_options.is_none() {
        events.warn("MKFS_OPTS does not count, as in diskimage-builder; use --mkfs-options");
    }
    let request = request::request(options, call.kind, call.words, environment, here)?;
    environment::make_folders(&request.environment, here)?;
    events.info(format!("Building elements: {}", implicit::wanted(&request).join(" ")));
    let keep_old_outputs = request.keep_old_outputs;
    let prepared = prepare::plan(request, store, false)?;
    let names: Vec<&str> = prepared.plan.elements.iter().map(|element| element.name.as_str()).collect();
    events.info(format!("Expanded element dependencies to: {}", names.join(" ")));
    checks::check(&prepared.plan, &prepared.store)?;
    Ok(Run { prepared, reuse: !options.no_cache, keep_old_outputs, secrets: BTreeMap::new(), offline: options.offline })
}

/// What shows the build: lines on standard output, and in the log file that was named.
fn screen(options: &Options, environment: &Environment, here: &Utf8Path) -> Result<Screen, String> {
    let log = request::log_path(options, here);
    let quiet = match value(environment, "DIB_QUIET") {
        Some(text) => text.trim() != "0",
        None => log.is_some(),
    };
    let trace = options.trace > 0 || value(environment, "DIB_DEBUG_TRACE").is_some_and(|text| text.trim() != "0");
    let settings = crate::ui::Options {
        form: Form::Transcript,
        verbosity: match (quiet, trace) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        },
        stamped: value(environment, "DIB_NO_TIMESTAMP").is_none_or(|text| text.trim() != "1"),
        log: log.clone(),
        ..crate::ui::Options::default()
    };
    // Whoever wants no output still wants to know why there is no image.
    let out: Box<dyn Write + Send> = if quiet { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    let screen = Screen::new(settings, out);
    let Some(path) = log else { return Ok(screen) };
    let file =
        open(&path).map_err(|error| format!("cannot write the log {path}: {error}; name another with --logfile"))?;
    crate::cli::print(&format!("Output logs going to: {}\n", options.logfile.as_deref().unwrap_or(&path)));
    Ok(screen.with_log(Box::new(BufWriter::new(file))))
}

fn open(path: &Utf8PathBuf) -> io::Result<File> {
    fs::OpenOptions::new().append(true).create(true).open(path)
}
