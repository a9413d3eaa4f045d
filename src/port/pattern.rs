//! Patterns that texts are compared with: the shell's own, and simple regular expressions.
//!
//! In: an expression for the text and a word that is a pattern. Out: a Rhai condition made of `==`, `starts_with`, `ends_with` and
//! `contains`.

use super::hook::{Hook, Use};
use super::kept::Kept;
use super::shell::{Piece, Word};
use super::value::{Base, Value};
use super::variable::{self, Known};

/// `code` matches the shell pattern `word`, which has `*` at its ends only.
///
/// # Errors
/// The pattern has more than that.
pub fn glob(hook: &mut Hook<'_>, code: &str, word: &Word) -> Result<String, Kept> {
    let unusual = || Kept::new(format!("the pattern `{}`", word.source));
    let mut pieces = word.pieces.clone();
    let mut open_start = false;
    if let Some(Piece::Text { text, bare: true }) = pieces.first_mut()
        && let Some(rest) = text.strip_prefix('*')
    {
        open_start = true;
        *text = rest.to_owned();
    }
    let mut open_end = false;
    if let Some(Piece::Text { text, bare: true }) = pieces.last_mut()
        && let Some(rest) = text.strip_suffix('*')
    {
        open_end = true;
        *text = rest.to_owned();
    }
    let inner = Word { source: word.source.clone(), pieces };
    if inner.has_pattern() {
        return Err(unusual());
    }
    let value = hook.value(&inner, Use::Whole)?;
    if value.base != Base::Plain {
        return Err(unusual());
    }
    Ok(compared(code, &value, open_start, open_end))
}

fn compared(code: &str, value: &Value, open_start: bool, open_end: bool) -> String {
    let other = value.code();
    match (open_start, open_end) {
        (true, true) => format!("{code}.contains({other})"),
        (true, false) => format!("{code}.ends_with({other})"),
        (false, true) => format!("{code}.starts_with({other})"),
        (false, false) => format!("{code} == {other}"),
    }
}

/// `code` matches the regular expression `word`: plain alternatives with `^` and `$`.
///
/// # Errors
/// The expression has more than that.
pub fn regex(hook: &mut Hook<'_>, code: &str, word: &Word) -> Result<String, Kept> {
    // Quoted, or a variable whose values mean themselves: a part of the text.
    let plain = word.pieces.iter().all(|piece| match piece {
        Piece::Text { text, bare } => !bare || is_plain(text),
        Piece::Variable { name, bare, .. } => {
            !bare || matches!(variable::known(name, hook.phase), Known::Fact("image.arch()" | "image.distro()"))
        }
        _ => false,
    });
    if plain {
        let value = hook.value(word, Use::Whole)?;
        if value.base != Base::Plain {
            return Err(Kept::new("a comparison with a folder"));
        }
        return Ok(format!("{code}.contains({})", value.code()));
    }
    let unusual = || Kept::new(format!("the regular expression `{}`", word.source));
    let [Piece::Text { text, bare: true }] = word.pieces.as_slice() else { return Err(unusual()) };
    let (start, rest) = text.strip_prefix('^').map_or((false, text.as_str()), |rest| (true, rest));
    let (end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if inner.is_none() && rest.contains('|') && (start || end) {
        return Err(unusual());
    }
    let choices: Vec<&str> = inner.unwrap_or(rest).split('|').collect();
    if !choices.iter().all(|choice| is_plain(choice) && !choice.is_empty()) {
        return Err(unusual());
    }
    let tests: Vec<String> = choices.iter().map(|choice| compared(code, &Value::text(*choice), !start, !end)).collect();
    Ok(tests.join(" || "))
}

fn is_plain(text: &str) -> bool {
    !text.contains(|letter: char| "^$.|()[]{}*+?\\".contains(letter))
}
