//! Regular expressions of `sed` and `grep` as Rust's.
//!
//! In: a basic or extended expression of POSIX with GNU's additions, which sees one line. Out: one for a text of many lines that
//! matches within a line. POSIX wants the longest match, Rust the first: they agree unless alternatives begin alike, which is
//! refused.

use crate::port::kept::Kept;

/// The expression in Rust's spelling, for a question whether it matches at all.
///
/// # Errors
/// It has back-references.
pub fn question(text: &str, extended: bool) -> Result<String, Kept> {
    let result = spelled(text, extended)?;
    match regex::Regex::new(&result) {
        Ok(_) => Ok(result),
        Err(_) => Err(Kept::new("a regular expression with what Rust does not read")),
    }
}

/// The expression in Rust's spelling.
///
/// # Errors
/// It has back-references, or alternatives that begin alike.
pub fn rust(text: &str, extended: bool) -> Result<String, Kept> {
    let refused = |what: &str| Err(Kept::new(format!("a regular expression with {what}")));
    let result = spelled(text, extended)?;
    if alike(&result) {
        return refused("alternatives that begin alike");
    }
    let built = regex::RegexBuilder::new(&result).multi_line(true).build();
    match built {
        // Behind the last line feed Rust sees one more line, an empty one.
        Ok(expression) if expression.is_match("") => refused("a match of nothing"),
        Ok(_) => Ok(result),
        Err(_) => refused("what Rust does not read"),
    }
}

fn spelled(text: &str, extended: bool) -> Result<String, Kept> {
    let refused = |what: &str| Err(Kept::new(format!("a regular expression with {what}")));
    let mut result = String::new();
    let mut letters = text.chars().peekable();
    let mut start = true;
    while let Some(letter) = letters.next() {
        let was_start = std::mem::replace(&mut start, false);
        match letter {
            '\\' => match letters.next() {
                Some(sign @ ('(' | ')' | '{' | '}' | '+' | '?' | '|')) if !extended => {
                    result.push(sign);
                    start = sign == '(' || sign == '|';
                }
                Some('s') => result.push_str("[^\\S\\n]"),
                Some('W') => result.push_str("[^\\w\\n]"),
                Some('S') => result.push_str("\\S"),
                Some('w') => result.push_str("\\w"),
                Some('b' | '<' | '>') => result.push_str("\\b"),
                Some('t') => result.push_str("\\t"),
                Some(digit) if digit.is_ascii_digit() => return refused("a reference to a group"),
                Some(plain) if !plain.is_alphanumeric() => result.push_str(&regex::escape(&plain.to_string())),
                _ => return refused("an unusual escape"),
            },
            '[' => bracket(&mut letters, &mut result)?,
            '*' if was_start => result.push_str("\\*"),
            '^' if !was_start && !extended => result.push_str("\\^"),
            '^' => {
                result.push('^');
                start = true;
            }
            '$' => {
                let end = letters.peek().is_none() || (extended && matches!(letters.peek(), Some(')' | '|')));
                let end = end || letters.clone().take(2).collect::<String>().starts_with("\\)");
                result.push_str(if end { "$" } else { "\\$" });
            }
            '(' | '|' if extended => {
                result.push(letter);
                start = true;
            }
            '+' | '?' | ')' | '{' | '}' if extended => result.push(letter),
            '.' | '*' => result.push(letter),
            '\n' => return refused("a line feed"),
            plain => result.push_str(&regex::escape(&plain.to_string())),
        }
    }
    Ok(result)
}

/// `[…]`, whose first bracket was read.
fn bracket(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, result: &mut String) -> Result<(), Kept> {
    let refused = || Kept::new("a regular expression with an unusual bracket");
    result.push('[');
    let negated = letters.next_if_eq(&'^').is_some();
    if negated {
        result.push_str("^\\n");
    }
    let mut first = true;
    loop {
        let letter = letters.next().ok_or_else(refused)?;
        match letter {
            ']' if !first => break,
            '[' if matches!(letters.peek(), Some(':')) => {
                let name: String = letters.by_ref().skip(1).take_while(|letter| *letter != ':').collect();
                if letters.next() != Some(']') {
                    return Err(refused());
                }
                match name.as_str() {
                    "space" | "blank" => result.push_str(" \\t"),
                    "alnum" | "alpha" | "digit" | "upper" | "lower" | "punct" | "xdigit" => {
                        result.push_str(&format!("[:{name}:]"));
                    }
                    _ => return Err(refused()),
                }
            }
            '[' if matches!(letters.peek(), Some('.' | '=')) => return Err(refused()),
            // A backslash means itself, but GNU reads `\n`, `\t` and `\]` its own way.
            '\\' if matches!(letters.peek(), Some('n' | 't' | ']')) => return Err(refused()),
            '\\' | '[' | ']' | '&' | '~' | '^' => result.extend(['\\', letter]),
            '\n' => return Err(refused()),
            other => result.push(other),
        }
        first = false;
    }
    result.push(']');
    Ok(())
}

/// There are alternatives of which one begins another, or that are more than plain text.
fn alike(expression: &str) -> bool {
    if !expression.contains('|') {
        return false;
    }
    let mut groups = vec![vec![String::new()]];
    let mut done = Vec::new();
    let mut letters = expression.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => groups.push(vec![String::new()]),
            ')' => done.extend(groups.pop()),
            '|' => groups.last_mut().into_iter().for_each(|group| group.push(String::new())),
            _ => {
                let escaped = if letter == '\\' { letters.next() } else { None };
                if let Some(last) = groups.last_mut().and_then(|group| group.last_mut()) {
                    last.push(letter);
                    last.extend(escaped);
                }
            }
        }
    }
    done.extend(groups);
    done.iter().filter(|group| group.len() > 1).any(|group| {
        // Alternatives that begin with different letters never match at one place.
        let mut first: Vec<Option<char>> = group
            .iter()
            .map(|one| one.trim_start_matches('^').chars().next().filter(char::is_ascii_alphanumeric))
            .collect();
        first.sort();
        let known = first.iter().all(Option::is_some);
        first.dedup();
        if known && first.len() == group.len() {
            return false;
        }
        group.iter().enumerate().any(|(index, one)| {
            let open = one.trim_start_matches('^').contains(['*', '+', '?', '[', '.']) && !one.contains("\\.");
            let begins = group.iter().enumerate().any(|(other, text)| other != index && text.starts_with(one.as_str()));
            open || begins
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_and_extended_expressions_say_the_same_in_rust() {
        for (text, extended, expected) in [
            (r"^\(SELINUX=\s*\).*$", false, Some(r"^(SELINUX=[^\S\n]*).*$")),
            ("^Defaults\\s*requiretty", false, Some(r"^Defaults[^\S\n]*requiretty")),
            ("a+b(c)", false, Some(r"a\+b\(c\)")),
            ("a+b(c)", true, Some("a+b(c)")),
            (r"http[s]*://x.\(one\|two\)/\$y", false, Some(r"http[s]*://x.(one|two)/\$y")),
            (r"\(a\|ab\)c", false, None),
            (r"\(a\)\1", false, None),
            ("x*", false, None),
            ("[^,]x", false, Some(r"[^\n,]x")),
            ("[[:space:]]x", false, Some(r"[ \t]x")),
            ("*x", false, Some(r"\*x")),
            ("a$b$", false, Some(r"a\$b$")),
        ] {
            assert_eq!(rust(text, extended).ok().as_deref(), expected, "{text}");
        }
    }
}
