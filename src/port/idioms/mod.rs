//! What commands of hooks mean, one family a file.
//!
//! In: a simple command or a pipe. Out: steps that do the same to the image. Not here: control flow (`translate`).

mod accounts;
mod copies;
mod edits;
mod expression;
mod files;
pub mod grep;
mod kernel;
mod output;
mod packages;
pub mod run;
mod sed;
mod services;

use super::hook::Hook;
use super::kept::Kept;
use super::shell::{Command, Form, Node, Piece, Redirect, Statement, Word};
use super::step::Step;

/// Options by their names, with the values that they have.
pub type Options = Vec<(String, Option<Word>)>;

/// A command without what only says as whom it runs.
pub struct Call<'a> {
    /// The program; of one that a variable names, a tool of its kind.
    pub name: String,
    /// The program, as a word.
    pub program: &'a Word,
    /// Its arguments.
    pub arguments: &'a [Word],
    /// The whole command.
    pub command: &'a Command,
}

impl<'a> Call<'a> {
    /// Reads a command; `sudo` and its options are skipped.
    ///
    /// # Errors
    /// The program is named by a variable.
    pub fn new(command: &'a Command) -> Result<Self, Kept> {
        let mut words = command.words.as_slice();
        if words.first().and_then(Word::literal).as_deref() == Some("sudo") {
            words = &words[1..];
            while let Some(option) = words.first().and_then(Word::literal).filter(|word| word.starts_with('-')) {
                if !["-E", "-H", "-n", "--"].contains(&option.as_str()) {
                    return Err(Kept::new(format!("`sudo {option}`")));
                }
                words = &words[1..];
            }
        }
        let Some(first) = words.first() else { return Err(Kept::new("a command without words")) };
        let by_variable =
            matches!(first.pieces.as_slice(), [Piece::Variable { name, form: Form::Plain, .. }] if name == "YUM");
        // The tools of a virtual environment, wherever it is.
        let pip = |text: &str| text.ends_with("/bin/pip") || text.ends_with("/bin/pip3");
        let by_pip = matches!(first.pieces.last(), Some(Piece::Text { text, .. }) if pip(text));
        let name = match first.literal() {
            _ if by_variable => Some("yum".to_owned()),
            _ if by_pip => Some("pip".to_owned()),
            other => other,
        };
        let name = name.ok_or_else(|| Kept::new(format!("a command named by `{}`", first.source)))?;
        Ok(Self { name, program: first, arguments: &words[1..], command })
    }

    /// Options and operands: short options one by one (`-rf` is `-r`, `-f`), with the values of those in `valued` (`m`, `--mode`).
    ///
    /// # Errors
    /// An option depends on a variable.
    pub fn options(&self, valued: &[&str]) -> Result<(Options, Vec<&'a Word>), Kept> {
        let (mut options, mut operands) = (Vec::new(), Vec::new());
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            let Some(text) = word.literal().filter(|text| text.starts_with('-') && text.len() > 1) else {
                if word.source.starts_with('-') {
                    return Err(Kept::new(format!("the option `{}`", word.source)));
                }
                operands.push(word);
                continue;
            };
            if text == "--" {
                operands.extend(words.by_ref());
            } else if let Some(long) = text.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let name = format!("--{name}");
                let value = match value {
                    Some(value) => Some(super::shell::words::verbatim(value)),
                    None if valued.contains(&name.as_str()) => words.next().cloned(),
                    None => None,
                };
                options.push((name, value));
            } else {
                let letters: Vec<char> = text.chars().skip(1).collect();
                for (index, letter) in letters.iter().enumerate() {
                    let name = format!("-{letter}");
                    if !valued.contains(&name.as_str()) {
                        options.push((name, None));
                        continue;
                    }
                    let rest: String = letters[index + 1..].iter().collect();
                    let value = if rest.is_empty() {
                        words.next().cloned()
                    } else {
                        Some(super::shell::words::verbatim(&rest))
                    };
                    options.push((name, value));
                    break;
                }
            }
        }
        Ok((options, operands))
    }

    /// Options as [`Call::options`], all of them among `known`.
    ///
    /// # Errors
    /// There is another one.
    pub fn known_options(&self, known: &[&str], valued: &[&str]) -> Result<(Options, Vec<&'a Word>), Kept> {
        let (options, operands) = self.options(valued)?;
        match options.iter().find(|(name, _)| !known.contains(&name.as_str()) && !valued.contains(&name.as_str())) {
            Some((name, _)) => Err(Kept::new(format!("`{} {name}`", self.name))),
            None => Ok((options, operands)),
        }
    }

    /// What it says is only seen: no redirection matters.
    ///
    /// # Errors
    /// One does.
    pub fn unredirected(&self) -> Result<(), Kept> {
        match self.command.redirects.iter().find(|redirect| !is_harmless(redirect)) {
            Some(Redirect::Other(what)) => Err(Kept::new(what.clone())),
            Some(Redirect::Here(_)) => Err(Kept::new(format!("a here-document for `{}`", self.name))),
            Some(_) => Err(Kept::new(format!("the output of `{}` in a file", self.name))),
            None => Ok(()),
        }
    }
}

/// Whether an option was given by one of its names.
pub fn has(options: &[(String, Option<Word>)], names: &[&str]) -> bool {
    options.iter().any(|(name, _)| names.contains(&name.as_str()))
}

/// The value of an option by one of its names.
pub fn value<'o>(options: &'o [(String, Option<Word>)], names: &[&str]) -> Option<&'o Word> {
    options.iter().find(|(name, _)| names.contains(&name.as_str())).and_then(|(_, value)| value.as_ref())
}

/// What a redirection hides is only a message.
pub fn is_harmless(redirect: &Redirect) -> bool {
    match redirect {
        Redirect::Write { to, .. } => {
            matches!(to.literal().as_deref(), Some("/dev/null" | "/dev/stderr" | "/dev/stdout"))
        }
        Redirect::Duplicate { of, .. } => ["1", "2"].contains(&of.as_str()),
        Redirect::Here(_) | Redirect::Other(_) => false,
    }
}

/// The steps of a simple command.
///
/// # Errors
/// It is none that a draft can express.
pub fn command(hook: &mut Hook<'_>, command: &Command, _line: usize) -> Result<Vec<Step>, Kept> {
    let call = Call::new(command)?;
    if !command.assignments.is_empty() && !run::is_tool(&call.name) {
        return Err(Kept::new(format!("variables set for `{}` alone", call.name)));
    }
    let inside = ["systemctl", "useradd", "groupadd", "install-packages"].contains(&call.name.as_str());
    if inside && !hook.in_image() {
        return Err(Kept::new(format!("`{}` on the host", call.name)));
    }
    match call.name.as_str() {
        "set" => set(&call),
        "true" | ":" => Ok(vec![Step::Nothing(String::new())]),
        "exit" => exit(hook, &call),
        "break" if call.arguments.is_empty() && hook.loops > 0 => Ok(vec![Step::Break]),
        "continue" if call.arguments.is_empty() && hook.loops > 0 => Ok(vec![Step::Continue]),
        "echo" | "printf" | "cat" => output::command(hook, &call),
        "tee" | "dd" => output::sink(hook, &call, None),
        "mkdir" => files::mkdir(hook, &call),
        "rm" | "unlink" => files::rm(hook, &call),
        "rmdir" => files::rmdir(hook, &call),
        "touch" => files::touch(hook, &call),
        "ln" => files::ln(hook, &call),
        "chmod" => files::chmod(hook, &call),
        "chown" => files::chown(hook, &call),
        "cp" => copies::cp(hook, &call),
        "install" => copies::install(hook, &call),
        "sed" => edits::sed(hook, &call),
        "systemctl" => services::systemctl(hook, &call),
        "grubby" => kernel::grubby(hook, &call),
        "useradd" => accounts::useradd(hook, &call),
        "groupadd" => accounts::groupadd(hook, &call),
        "install-packages" => packages::install_packages(hook, &call),
        "eval" | "source" | "." | "trap" | "cd" | "pushd" | "popd" | "exec" | "umask" | "shift" | "unset" | "read"
        | "wait" | "return" => Err(Kept::new(format!("`{}`", call.name))),
        _ => run::command(hook, &call, None),
    }
}

/// The steps of a pipe.
///
/// # Errors
/// As [`command`].
pub fn pipe(hook: &mut Hook<'_>, parts: &[Statement]) -> Result<Vec<Step>, Kept> {
    let refused = || Kept::new("a pipe");
    let [Statement { node: Node::Command(from), .. }, Statement { node: Node::Command(to), .. }] = parts else {
        return Err(refused());
    };
    let from = Call::new(from)?;
    let text = match output::text(hook, &from)? {
        Some(text) => text,
        None if run::is_tool(&from.name) && from.name != "sed" => run::printed(hook, &from)?,
        None => return Err(Kept::new(format!("a pipe from `{}`", from.name))),
    };
    if !from.command.redirects.iter().all(|redirect| is_harmless(redirect) || matches!(redirect, Redirect::Here(_))) {
        return Err(refused());
    }
    let to = Call::new(to)?;
    match to.name.as_str() {
        "tee" | "dd" => output::sink(hook, &to, Some(text)),
        _ => run::command(hook, &to, Some(text)).map_err(|_| Kept::new(format!("a pipe into `{}`", to.name))),
    }
}

/// `> file` without a command.
///
/// # Errors
/// As [`command`].
pub fn redirected_nothing(hook: &mut Hook<'_>, command: &Command) -> Result<Vec<Step>, Kept> {
    if !command.assignments.is_empty() || !command.words.is_empty() {
        return Err(Kept::new("an assignment with a redirection"));
    }
    output::redirected(hook, &command.redirects, &super::value::Value::default())
}

/// Options of the shell: a Rhai hook always stops at errors, and has no variables that are not set.
fn set(call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    let mut words = call.arguments.iter().filter_map(Word::literal).peekable();
    while let Some(word) = words.next() {
        let letters = word.strip_prefix('-').or_else(|| word.strip_prefix("+x").map(|_| "x"));
        let good = letters.is_some_and(|letters| letters.chars().all(|letter| "euxov".contains(letter)));
        let named = word == "-o" || (word.starts_with('-') && word.ends_with('o'));
        let takes = if named {
            words.next().is_some_and(|name| ["pipefail", "errexit", "nounset", "xtrace"].contains(&name.as_str()))
        } else {
            true
        };
        if !good || !takes {
            return Err(Kept::new(format!("`set {word}`")));
        }
    }
    Ok(vec![Step::Nothing(String::new())])
}

fn exit(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    let _ = hook;
    match call.arguments {
        [status] => match status.literal().as_deref() {
            Some("0") => Ok(vec![Step::Return]),
            Some(text) if text.parse::<u8>().is_ok() => {
                Ok(vec![Step::Fail(super::value::quoted(&format!("the hook ends with status {text}")))])
            }
            _ => Err(Kept::new("`exit` with a status that is not written out")),
        },
        // The status of the last command, which was 0: a draft stops at anything else.
        _ => Ok(vec![Step::Return]),
    }
}
