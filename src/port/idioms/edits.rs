//! `sed -i`: each command of its program becomes an edit of the file, where that is possible.

use super::sed::{self, Edit};
use super::{Call, has, kernel, run};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::step::{Step, verb};
use crate::port::value::{Base, Part, Value, quoted};

/// `sed -i`: edits where its commands look at one line each, else the tool itself, inside the image.
///
/// # Errors
/// It prints, or edits files of the host.
pub fn sed(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    let in_place =
        call.arguments.iter().any(|word| word.source.starts_with("-i") || word.source.starts_with("--in-place"));
    match hook.attempt(|hook| edited(hook, call)) {
        Err(kept) if hook.in_image() && in_place => {
            hook.attempt(|hook| run::command(hook, call, None)).map_err(|_| kept)
        }
        other => other,
    }
}

fn edited(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    // `-ie` is no `-i -e`: the rest of the word is the ending of a copy.
    for word in call.arguments {
        let suffix = word.source.strip_prefix("-i").is_some_and(|rest| !rest.is_empty());
        if suffix || word.source.starts_with("--in-place=") {
            return Err(Kept::new(format!("`sed {}` leaves a copy of the file", word.source)));
        }
    }
    let known = ["-i", "--in-place", "-E", "-r", "--regexp-extended"];
    let (options, operands) = call.known_options(&known, &["-e", "--expression"])?;
    if !has(&options, &["-i", "--in-place"]) {
        return Err(Kept::new("`sed` that prints"));
    }
    let extended = has(&options, &["-E", "-r", "--regexp-extended"]);
    let mut programs: Vec<_> = options
        .iter()
        .filter(|(name, _)| name == "-e" || name == "--expression")
        .filter_map(|(_, word)| word.clone())
        .collect();
    let mut files = operands;
    if programs.is_empty() {
        if files.is_empty() {
            return Err(Kept::new("`sed` without a program"));
        }
        programs.push(files.remove(0).clone());
    }
    let mut edits = Vec::new();
    let mut values = Vec::new();
    for program in &programs {
        let program = hook.value(program, Use::Whole)?;
        edits.extend(sed::read(&marked(&program, &mut values)?, extended)?);
    }
    let mut steps = Vec::new();
    for file in files {
        let path = hook.path(file)?;
        if path.pattern {
            return Err(Kept::new("`sed` of a pattern of files"));
        }
        if let Some(more) = kernel::edited(hook, &path, &edits) {
            steps.extend(more);
            continue;
        }
        hook.need_write(&path);
        for edit in &edits {
            let (expression, replacement) = arguments(hook, edit, &values)?;
            steps.push(verb("edit_file", vec![path.code(), quoted(&expression), replacement.code()]));
        }
    }
    Ok(steps)
}

/// The program with a letter for each variable, whose code goes to `values`.
fn marked(program: &Value, values: &mut Vec<String>) -> Result<String, Kept> {
    if program.base != Base::Plain {
        return Err(Kept::new("`sed` with a folder of the host"));
    }
    let mut text = String::new();
    for part in &program.parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Code(code) => {
                let letter =
                    u32::try_from(values.len()).ok().and_then(|index| char::from_u32(sed::VALUES.start + index));
                text.extend(letter.filter(|letter| sed::VALUES.contains(&(*letter as u32))));
                values.push(code.clone());
            }
        }
    }
    Ok(text)
}

/// Expression and replacement for `edit_file`.
fn arguments(hook: &mut Hook<'_>, edit: &Edit, values: &[String]) -> Result<(String, Value), Kept> {
    Ok(match edit {
        Edit::Replace { expression, replacement, delimiter, all } => {
            // One match a line is all there can be.
            let once = expression.starts_with('^') || expression.ends_with('$') || expression.ends_with(".*") || *all;
            let shift = usize::from(!once);
            let replaced = replacement_value(hook, replacement, *delimiter, shift, values)?;
            if once {
                (expression.clone(), replaced)
            } else {
                let mut first = Value::text("${1}");
                first.append(&replaced);
                (format!("^(.*?)(?:{expression})"), first)
            }
        }
        Edit::Delete(address) => (format!("{}(?:\\n|\\z)", whole_line(address)), Value::default()),
        Edit::Change(address, text) => (whole_line(address), plain(hook, text, values)?),
        Edit::After(address, text) => {
            let mut value = Value::text("${0}\n");
            value.append(&plain(hook, text, values)?);
            (whole_line(address), value)
        }
        Edit::Before(address, text) => {
            let mut value = plain(hook, text, values)?;
            value.push_text("\n${0}");
            (whole_line(address), value)
        }
    })
}

fn whole_line(address: &str) -> String {
    let start = if address.starts_with('^') { "" } else { "^.*" };
    let end = if address.ends_with('$') && !address.ends_with("\\$") { "" } else { ".*$" };
    let inner = if address.contains('|') { format!("(?:{address})") } else { address.to_owned() };
    format!("{start}{inner}{end}")
}

/// A text in which nothing is special.
fn plain(hook: &mut Hook<'_>, text: &str, values: &[String]) -> Result<Value, Kept> {
    let mut value = Value::default();
    for letter in text.chars() {
        push(hook, &mut value, letter, values, '\n');
    }
    Ok(value)
}

/// `\1`, `&` and `\n` in Rust's spelling; groups are counted on by `shift`.
fn replacement_value(
    hook: &mut Hook<'_>,
    text: &str,
    delimiter: char,
    shift: usize,
    values: &[String],
) -> Result<Value, Kept> {
    let mut value = Value::default();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // With a lazy beginning the match is what follows it, which has no group of its own.
            '&' if shift > 0 => return Err(Kept::new("`&` in `sed` for the first match of a line")),
            '&' => value.push_text("${0}"),
            '\\' => match letters.next() {
                Some(digit @ '1'..='9') => {
                    let group = digit.to_digit(10).unwrap_or_default() as usize + shift;
                    value.push_text(&format!("${{{group}}}"));
                }
                Some('n') => value.push_text("\n"),
                Some('t') => value.push_text("\t"),
                Some(sign) if !sign.is_alphanumeric() => push(hook, &mut value, sign, values, delimiter),
                _ => return Err(Kept::new("`sed` with an unusual escape in a replacement")),
            },
            other => push(hook, &mut value, other, values, delimiter),
        }
    }
    Ok(value)
}

/// One letter, or the value of the variable that it stands for.
fn push(hook: &mut Hook<'_>, value: &mut Value, letter: char, values: &[String], delimiter: char) {
    let index = (letter as u32).checked_sub(sed::VALUES.start).map(|index| index as usize);
    match index.and_then(|index| values.get(index)) {
        Some(code) => {
            hook.import("variables");
            value.push_code(format!("variables::replacement({code}, {})", quoted(&delimiter.to_string())));
        }
        None if letter == '$' => value.push_text("$$"),
        None => value.push_text(&letter.to_string()),
    }
}
