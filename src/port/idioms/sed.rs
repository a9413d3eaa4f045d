//! The language of `sed`, as far as hooks edit files with it.
//!
//! In: a program. Out: commands that look at one line each, independent of other lines.

use super::expression::rust;
use crate::port::kept::Kept;

/// A command for lines.
#[derive(Debug, PartialEq, Eq)]
pub enum Edit {
    /// `s`: an expression and what replaces it, in `sed`'s spelling; every match with `all`.
    Replace {
        /// In Rust's spelling.
        expression: String,
        /// In `sed`'s spelling.
        replacement: String,
        /// The sign between the parts.
        delimiter: char,
        /// `g`
        all: bool,
    },
    /// `/…/d`
    Delete(String),
    /// `/…/c text`
    Change(String, String),
    /// `/…/a text`
    After(String, String),
    /// `/…/i text`
    Before(String, String),
}

/// Letters that stand for values of variables, from a private range.
pub const VALUES: std::ops::Range<u32> = 0xE000..0xE100;

fn refused<T>(what: &str) -> Result<T, Kept> {
    Err(Kept::new(format!("`sed` with {what}")))
}

/// Reads a program.
///
/// # Errors
/// A command that depends on other lines, or on numbers of lines.
pub fn read(program: &str, extended: bool) -> Result<Vec<Edit>, Kept> {
    let mut edits = Vec::new();
    let mut rest = program;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';', '\n']);
        if rest.is_empty() {
            return Ok(edits);
        }
        let address;
        (address, rest) = self::address(rest, extended)?;
        rest = rest.trim_start();
        let Some(command) = rest.chars().next() else { return refused("an address without a command") };
        rest = &rest[command.len_utf8()..];
        match (command, address) {
            ('s', None) => {
                let edit;
                (edit, rest) = replace(rest, extended)?;
                edits.push(edit);
            }
            ('d', Some(address)) => edits.push(Edit::Delete(address)),
            ('c' | 'a' | 'i', Some(address)) => {
                let text = rest.strip_prefix('\\').unwrap_or(rest);
                let text = text.strip_prefix('\n').unwrap_or(text).trim_start();
                if text.contains(['\n', '\\']) {
                    return refused("a text of several lines or with escapes");
                }
                edits.push(match command {
                    'c' => Edit::Change(address, text.to_owned()),
                    'a' => Edit::After(address, text.to_owned()),
                    _ => Edit::Before(address, text.to_owned()),
                });
                return Ok(edits);
            }
            ('s', Some(_)) => return refused("`s` at chosen lines"),
            (other, _) => return refused(&format!("the command `{other}`")),
        }
        rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with([';', '\n']) {
            return refused("commands that run together");
        }
    }
}

/// The lines that a command is for, in Rust's spelling.
fn address(text: &str, extended: bool) -> Result<(Option<String>, &str), Kept> {
    let Some(first) = text.chars().next() else { return Ok((None, text)) };
    let (delimiter, rest) = match first {
        '/' => ('/', &text[1..]),
        '\\' => match text[1..].chars().next() {
            Some(delimiter) => (delimiter, &text[1 + delimiter.len_utf8()..]),
            None => return refused("an address that does not end"),
        },
        digit if digit.is_ascii_digit() || digit == '$' => return refused("lines by their number"),
        _ => return Ok((None, text)),
    };
    let (expression, rest) = part(rest, delimiter)?;
    if rest.trim_start().starts_with([',', '!', '{']) || rest.starts_with('I') {
        return refused("lines from one to another");
    }
    Ok((Some(matched(&expression, extended)?), rest))
}

fn matched(expression: &str, extended: bool) -> Result<String, Kept> {
    if expression.chars().any(|letter| VALUES.contains(&(letter as u32))) {
        return refused("an expression that depends on a variable");
    }
    rust(expression, extended)
}

fn replace(text: &str, extended: bool) -> Result<(Edit, &str), Kept> {
    let Some(delimiter) = text.chars().next() else { return refused("`s` that does not end") };
    let (expression, rest) = part(&text[delimiter.len_utf8()..], delimiter)?;
    let (replacement, rest) = part(rest, delimiter)?;
    let flags = rest.chars().take_while(|letter| !letter.is_whitespace() && *letter != ';').collect::<String>();
    let all = match flags.as_str() {
        "" => false,
        "g" => true,
        _ => return refused("flags of `s`"),
    };
    let expression = matched(&expression, extended)?;
    Ok((Edit::Replace { expression, replacement, delimiter, all }, &rest[flags.len()..]))
}

/// The text up to the delimiter, in which an escaped delimiter is the sign itself; and what follows.
fn part(text: &str, delimiter: char) -> Result<(String, &str), Kept> {
    let mut result = String::new();
    let mut letters = text.char_indices();
    let mut bracket = false;
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                // Unless it means something to the expression without the backslash.
                Some((_, next)) if next == delimiter && !"|^$.*+?()[]{}".contains(delimiter) => result.push(next),
                Some((_, next)) if next == delimiter => return refused("an escaped delimiter"),
                Some((_, next)) => result.extend(['\\', next]),
                None => return refused("a backslash at the end"),
            },
            '[' if delimiter != '[' => {
                bracket = true;
                result.push(letter);
            }
            ']' => {
                bracket = false;
                result.push(letter);
            }
            end if end == delimiter && !bracket => return Ok((result, &text[at + end.len_utf8()..])),
            end if end == delimiter => return refused("a delimiter in a bracket"),
            other => result.push(other),
        }
    }
    refused("a part that does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_command_by_command() {
        let edits = read(r"s%^\(A=\s*\).*$%A=b%;/^x=/d", false).unwrap();
        assert_eq!(edits.len(), 2);
        assert_eq!(edits[1], Edit::Delete("^x=".into()));
        assert_eq!(
            read("/^keepcache/c\\keepcache=0", false).unwrap(),
            [Edit::Change("^keepcache".into(), "keepcache=0".into())]
        );
        assert_eq!(read("/# C/a MACs x", false).unwrap(), [Edit::After("\\# C".into(), "MACs x".into())]);
        let Edit::Replace { expression, replacement, all, .. } = &read(r"s/a\/b/c\/d/g", false).unwrap()[0] else {
            panic!()
        };
        assert_eq!((expression.as_str(), replacement.as_str(), *all), ("a/b", "c/d", true));
    }

    #[test]
    fn what_depends_on_other_lines_is_refused() {
        for program in
            ["1d", "$d", "/a/,/b/d", "/a/!d", "N;s/a/b/", "s/a/b/2", "s/a/b/p", "/a/{s/b/c/}", "y/a/b/", "/a/s/b/c/"]
        {
            assert!(read(program, false).is_err(), "{program}");
        }
    }
}
