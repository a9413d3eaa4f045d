//! What `$(…)` comes to.
//!
//! In: the commands in it. Out: a Rhai expression for what they print, for the few that a draft can ask: parts of paths, where a
//! program is, and what one of the system's tools says.

use super::hook::{Hook, Use, shortened};
use super::idioms::{self, Call};
use super::kept::Kept;
use super::shell::{Command, Form, Node, Statement, reader};
use super::value::{Base, Value};

fn refused(text: &str) -> Kept {
    Kept::new(format!("the output of a command (`$({})`)", shortened(text)))
}

/// Adds what the commands `text` print; `index` is the place in the word.
///
/// # Errors
/// They are none of those that a draft can ask.
pub fn value(hook: &mut Hook<'_>, value: &mut Value, text: &str, index: usize) -> Result<(), Kept> {
    match text.replace('"', "").trim() {
        "dirname $0" | "dirname ${0}" if index == 0 => {
            value.base = Base::Hook;
            return Ok(());
        }
        "basename $IMAGE_NAME" | "basename ${IMAGE_NAME}" => {
            value.push_code("image.image_name()");
            return Ok(());
        }
        plain => {
            let name = plain.strip_prefix("basename $").map(|name| name.trim_matches(['{', '}']));
            let name = name.filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'));
            if let Some(name) = name {
                return basename(hook, value, text, name);
            }
        }
    }
    let script = reader::read(text).map_err(|_| refused(text))?;
    let [Statement { node: Node::Command(command), .. }] = script.statements.as_slice() else {
        return Err(refused(text));
    };
    value.push_code(printed(hook, command).map_err(|kept| if kept.reason.is_empty() { refused(text) } else { kept })?);
    Ok(())
}

fn basename(hook: &mut Hook<'_>, value: &mut Value, text: &str, name: &str) -> Result<(), Kept> {
    if hook.locals.get(name).is_some_and(|local| local.base != Base::Plain) {
        return Err(refused(text));
    }
    let mut whole = Value::default();
    hook.variable(&mut whole, name, &Form::Plain, 0, true)?;
    if whole.base != Base::Plain {
        return Err(refused(text));
    }
    hook.import("variables");
    value.push_code(format!("variables::basename({})", whole.code()));
    Ok(())
}

/// What one command prints, as an expression; an empty reason says that it is none of those known.
fn printed(hook: &mut Hook<'_>, command: &Command) -> Result<String, Kept> {
    let unknown = || Kept::new("");
    let call = Call::new(command).map_err(|_| unknown())?;
    match (call.name.as_str(), call.arguments) {
        // A program that is not there stops the script here only where its status counts.
        ("command", [option, program]) if option.source == "-v" && hook.checked && hook.in_image() => {
            let program = hook.value(program, Use::Split)?;
            hook.import("files");
            Ok(format!("files::program(image, {})", program.code()))
        }
        (name, _) if idioms::run::is_tool(name) || (name == "chroot" && !hook.in_image()) => {
            hook.import("variables");
            let output = idioms::run::output(hook, &call)?;
            Ok(format!("variables::output({output})"))
        }
        _ => Err(unknown()),
    }
}
