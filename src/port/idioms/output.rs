//! Texts that go into files: here-documents, `echo`, `printf`; `>`, `>>`, `tee`, `dd of=`.

use super::{Call, kernel};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::shell::{Redirect, Word};
use crate::port::step::{Step, verb};
use crate::port::value::{Base, Part, Value};

/// `echo`, `printf` or `cat`.
///
/// # Errors
/// What it prints, or where, cannot be said in a draft.
pub fn command(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    if let Some(text) = text(hook, call)? {
        return redirected(hook, &call.command.redirects, &text);
    }
    // `cat FILE` shows it.
    let [file] = call.arguments else { return Err(Kept::new(format!("`{}` of several files", call.name))) };
    call.unredirected()?;
    let path = hook.path(file)?;
    if path.pattern {
        return Err(Kept::new("`cat` of a pattern of files"));
    }
    Ok(vec![Step::Log(format!("image.read_file({})", path.code()))])
}

/// What the command prints, when that is known; `None` for `cat` of a file.
///
/// # Errors
/// It holds an expansion that is not translated.
pub fn text(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Option<Value>, Kept> {
    let text = match call.name.as_str() {
        "echo" => echo(hook, call)?,
        "printf" => printf(hook, call)?,
        "cat" => {
            let document = call.command.redirects.iter().find_map(|redirect| match redirect {
                Redirect::Here(word) => Some(word),
                _ => None,
            });
            match (document, call.arguments) {
                (Some(word), []) => hook.value(word, Use::Whole)?,
                (Some(word), [dash]) if dash.source == "-" => hook.value(word, Use::Whole)?,
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    if text.base != Base::Plain {
        return Err(Kept::new("the name of a folder of the host, as text"));
    }
    Ok(Some(text))
}

fn echo(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Value, Kept> {
    let (mut escapes, mut newline, mut words) = (false, true, call.arguments);
    while let Some(option) = words.first().and_then(Word::literal) {
        match option.as_str() {
            "-n" => newline = false,
            "-e" => escapes = true,
            "-ne" | "-en" => (escapes, newline) = (true, false),
            _ => break,
        }
        words = &words[1..];
    }
    let mut text = Value::default();
    for (index, word) in words.iter().enumerate() {
        let value = hook.value(word, Use::Split)?;
        if value.pattern && word.has_pattern() {
            // A pattern that matches no file stays as it is, but what it matches is not known here.
            return Err(Kept::new("a pattern of files in `echo`"));
        }
        if value.base != Base::Plain {
            return Err(Kept::new("the name of a folder of the host, as text"));
        }
        if index > 0 {
            text.push_text(" ");
        }
        text.append(&value);
    }
    if escapes {
        text = unescaped(&text)?;
    }
    if newline {
        text.push_text("\n");
    }
    Ok(text)
}

fn printf(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Value, Kept> {
    let [format] = call.arguments else { return Err(Kept::new("`printf` with values")) };
    let value = hook.value(format, Use::Split)?;
    if value.literal().is_none_or(|text| text.replace("%%", "").contains('%')) || format.has_pattern() {
        return Err(Kept::new("a format of `printf`"));
    }
    unescaped(&Value::text(value.literal().unwrap_or_default().replace("%%", "%")))
}

/// `\n` and the like in literal text.
fn unescaped(value: &Value) -> Result<Value, Kept> {
    let Some(text) = value.literal() else { return Err(Kept::new("escapes beside variables")) };
    let mut result = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            result.push(letter);
            continue;
        }
        result.push(match letters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('\\') => '\\',
            Some('"') => '"',
            _ => return Err(Kept::new("an unusual escape")),
        });
    }
    Ok(Value::text(result))
}

/// `tee` or `dd of=`, with what comes through a pipe or stands in a here-document.
///
/// # Errors
/// As [`command`].
pub fn sink(hook: &mut Hook<'_>, call: &Call<'_>, piped: Option<Value>) -> Result<Vec<Step>, Kept> {
    let mut text = piped;
    for redirect in &call.command.redirects {
        match redirect {
            Redirect::Here(word) => text = Some(hook.value(word, Use::Whole)?),
            other if super::is_harmless(other) => {}
            _ => return Err(Kept::new(format!("the output of `{}` in a file", call.name))),
        }
    }
    let Some(text) = text else { return Err(Kept::new(format!("`{}` of a file", call.name))) };
    if text.base != Base::Plain {
        return Err(Kept::new("the name of a folder of the host, as text"));
    }
    if call.name == "dd" {
        let [word] = call.arguments else { return Err(Kept::new("`dd` with options")) };
        let mut to = word.clone();
        let Some(crate::port::shell::Piece::Text { text: head, .. }) = to.pieces.first_mut() else {
            return Err(Kept::new("`dd` with options"));
        };
        let Some(rest) = head.strip_prefix("of=").map(str::to_owned) else {
            return Err(Kept::new("`dd` with options"));
        };
        *head = rest;
        if head.is_empty() {
            to.pieces.remove(0);
        }
        return write(hook, &to, Use::Split, &text, false);
    }
    let (options, files) = call.known_options(&["-a", "--append"], &[])?;
    let append = super::has(&options, &["-a", "--append"]);
    let mut steps = Vec::new();
    for file in files {
        steps.extend(write(hook, file, Use::Split, &text, append)?);
    }
    Ok(steps)
}

/// The steps that put `text` where redirections say; without one it is a message.
///
/// # Errors
/// As [`command`].
pub fn redirected(hook: &mut Hook<'_>, redirects: &[Redirect], text: &Value) -> Result<Vec<Step>, Kept> {
    let mut target = None;
    for redirect in redirects {
        match redirect {
            Redirect::Write { stream: 1, to, append } if target.is_none() => target = Some((to, *append)),
            Redirect::Here(_) => {}
            other if super::is_harmless(other) => {}
            Redirect::Other(what) => return Err(Kept::new(what.clone())),
            _ => return Err(Kept::new("an unusual redirection")),
        }
    }
    match target {
        Some((to, append)) => write(hook, to, Use::Whole, text, append),
        None => {
            let mut message = text.clone();
            if let Some(Part::Text(last)) = message.parts.last_mut()
                && let Some(shorter) = last.strip_suffix('\n').map(str::to_owned)
            {
                *last = shorter;
                if last.is_empty() {
                    message.parts.pop();
                }
            }
            Ok(vec![Step::Log(message.code())])
        }
    }
}

/// The step that puts `text` into a file; its name is split at blanks when it is an argument, not after `>`.
///
/// # Errors
/// The file is none of the image.
pub fn write(hook: &mut Hook<'_>, to: &Word, how: Use, text: &Value, append: bool) -> Result<Vec<Step>, Kept> {
    match to.literal().as_deref() {
        Some("/dev/null") => return Ok(vec![Step::Nothing(String::new())]),
        Some("/dev/stderr" | "/dev/stdout") => return Ok(vec![Step::Log(text.code())]),
        _ => {}
    }
    // A redirection to several files is an error in bash: no check is needed there.
    let value = hook.value(to, how)?;
    if to.has_pattern() {
        return Err(Kept::new("output to a pattern of files"));
    }
    let path = hook.located(value, &to.source)?;
    if append && let Some(steps) = kernel::appended(hook, &path, text) {
        return Ok(steps);
    }
    hook.need_write(&path);
    let name = if append { "append_to_file" } else { "write_file" };
    Ok(vec![verb(name, vec![path.code(), text.code()])])
}
