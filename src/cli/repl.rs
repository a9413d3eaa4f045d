//! `kiln repl`: tries verbs on an image in memory, with the permissions of an element.
//!
//! In: lines. Out: values, effects, diagnostics. The history is kept in the store. Not here: running statements (`script/repl`).

use std::fmt::Write as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::effects::shown;
use super::{meaning, prepare, variables};
use crate::plan::PlannedElement;
use crate::script::Effect;
use crate::script::distribution::{self, Distribution};
use crate::script::repl::{Answer, Session};
use crate::script::testing::facts_on;

const HELP: &str = "\
a line is a statement of Rhai; `image` is the image, `element::install(image)` calls the element's hook
:effects   what was done so far
:reset     begin anew with a fresh image
:help      this
:quit      end, as Ctrl-D
";

/// Statements that are remembered.
const HISTORY: usize = 1000;

/// Words of `kiln repl`.
#[derive(Args, Debug)]
pub struct ReplArgs {
    /// The element whose permissions and options count
    #[arg(long, value_name = "ELEMENT")]
    element: String,
    /// Say that the image is one of this distribution
    #[arg(long, value_name = "NAME", default_value = "debian")]
    distro: String,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
}

/// Reads statements until they end.
pub fn run(args: &ReplArgs) -> ExitCode {
    match converse(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => super::refuse(&message),
    }
}

fn converse(args: &ReplArgs) -> Result<(), String> {
    let colour = super::colour();
    let element = prepare::element(&args.element, &args.elements_path, args.store.as_deref())?;
    let element = element.ok_or_else(|| format!("element '{}' not found", args.element))?;
    let distribution = distribution::find(&args.distro)?;
    let options = element.options.iter().map(|(name, option)| (name.clone(), option.default_value.clone()));
    let planned = PlannedElement {
        name: element.name.clone(),
        directory: element.directory.clone(),
        permissions: element.permissions.clone(),
        options: options.collect(),
    };
    let fresh = || session(&planned, &element.environment, distribution).map_err(|error| error.render(colour));
    let mut session = fresh()?;
    let config = Config::builder().max_history_size(HISTORY).map_err(|error| error.to_string())?.build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config).map_err(|error| error.to_string())?;
    let history = meaning::store(args.store.as_deref(), &variables::environment())?.join("repl-history");
    // Without a history there is nothing to remember.
    let _ = editor.load_history(&history);
    let mut statement = String::new();
    loop {
        let prompt = if statement.is_empty() { "kiln> " } else { "....> " };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                statement.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(format!("cannot read a line: {error}")),
        };
        if statement.is_empty() {
            match line.trim() {
                "" => continue,
                ":quit" => break,
                ":help" => super::print(HELP),
                ":effects" => super::print(&lines(&session.effects())),
                ":reset" => session = fresh()?,
                other if other.starts_with(':') => super::print(&format!("there is no `{other}`\n{HELP}")),
                _ => statement.push_str(&line),
            }
            if statement.is_empty() {
                continue;
            }
        } else {
            statement.push('\n');
            statement.push_str(&line);
        }
        match session.run(&statement) {
            // An empty line ends what cannot be finished.
            Answer::Incomplete if !line.trim().is_empty() => continue,
            Answer::Incomplete => super::print("the statement is not finished; it is forgotten\n"),
            Answer::Failed(diagnostic) => super::print(&format!("{}\n", diagnostic.render(colour))),
            Answer::Value(value) => {
                super::print(&lines(&session.new_effects()));
                super::print(&value.map(|value| format!("{value}\n")).unwrap_or_default());
            }
        }
        let _ = editor.add_history_entry(std::mem::take(&mut statement));
    }
    // The next conversation does without, when it cannot be written.
    let _ = editor.save_history(&history);
    Ok(())
}

fn session(
    element: &PlannedElement,
    environment: &[(String, String)],
    distribution: &Distribution,
) -> Result<Session, crate::diagnostic::Diagnostic> {
    let mut facts = facts_on(element, distribution);
    facts.variables.extend(environment.iter().cloned());
    Session::new(element, facts)
}

fn lines(effects: &[Effect]) -> String {
    let mut text = String::new();
    for effect in effects {
        let args: Vec<String> = effect.args.iter().map(shown).collect();
        let _ = writeln!(text, "* {}({})", effect.verb, args.join(", "));
    }
    text
}
