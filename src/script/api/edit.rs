//! Changing text files in place. Needs `write:` with a prefix of the path; symlinks are followed; mode and owner stay.

use rhai::plugin::*;

use super::super::effect;
use super::super::engine::STRING;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::reading;
use crate::target::Attributes;

/// Every match replaced, and how many there were; `None` when the result is longer than a script's text may be.
fn edited(text: &str, expression: &regex::Regex, replacement: &str) -> Option<(String, i64)> {
    let (mut result, mut end, mut count) = (String::new(), 0, 0);
    // A replacement may name the match many times: its length is known before it is made.
    let growth = replacement.matches('$').count() + 1;
    for captures in expression.captures_iter(text) {
        let all = captures.get_match();
        result.push_str(&text[end..all.start()]);
        if result.len() + growth * all.len() + replacement.len() > STRING {
            return None;
        }
        captures.expand(replacement, &mut result);
        end = all.end();
        count += 1;
    }
    result.push_str(&text[end..]);
    (result.len() <= STRING).then_some((result, count))
}

/// Every matching line replaced by `line`; without one, `line` added at the end unless the file has it.
fn with_line(text: &str, expression: &regex::Regex, line: &str) -> String {
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in text.lines() {
        let matches = expression.is_match(old);
        found |= matches || old == line;
        lines.push(if matches { line } else { old });
    }
    if !found {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// Edits.
#[export_module]
pub mod verbs {
    /// Replaces every match of a regular expression; `$1` and `$name` stand for groups, `^` and `$` match at lines. Returns
    /// how many matches there were.
    #[rhai_fn(return_raw)]
    pub fn edit_file(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        path: &str,
        regex: &str,
        replacement: &str,
    ) -> RhaiResult<i64> {
        let _running = image.enter(&ctx);
        let expression = reading::regex(regex)?;
        let real = image.need_write(&ctx, path, true)?;
        image.record(&ctx, vec![path.into(), regex.into(), effect::text(replacement)])?;
        let mut count = Some(0);
        super::super::files::change(image, &real, |text| match edited(text, &expression, replacement) {
            Some((text, replaced)) => {
                count = Some(replaced);
                text
            }
            None => {
                count = None;
                text.to_owned()
            }
        })?;
        let too_long =
            || HostError::new("limit.string", format!("the text of `{path}` would be longer than {STRING} bytes"));
        Ok(count.ok_or_else(too_long)?)
    }

    /// Replaces every line that a regular expression matches by `line`; without one, adds `line` at the end. Makes the file
    /// when it is missing.
    #[rhai_fn(return_raw)]
    pub fn replace_line(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        path: &str,
        regex: &str,
        line: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let expression = reading::regex(regex)?;
        if line.contains('\n') {
            return Err(HostError::usage("line", "the new line holds a line feed").into());
        }
        let real = image.need_write(&ctx, path, true)?;
        image.record(&ctx, vec![path.into(), regex.into(), line.into()])?;
        match super::super::files::change(image, &real, |text| with_line(text, &expression, line)) {
            Err(error) if error.code == "io.not-found" => {
                let text = format!("{line}\n");
                let made = image.target().write(&real, text.as_bytes(), Attributes::default());
                Ok(made.map_err(HostError::from)?)
            }
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_replaced_or_added_once() {
        let expression = reading::regex("^#?PermitRootLogin").unwrap();
        let line = "PermitRootLogin no";
        assert_eq!(with_line("a\n#PermitRootLogin yes\nb\n", &expression, line), "a\nPermitRootLogin no\nb\n");
        assert_eq!(with_line("a", &expression, line), "a\nPermitRootLogin no\n");
        assert_eq!(with_line("", &expression, line), "PermitRootLogin no\n");
        let other = reading::regex("^never$").unwrap();
        assert_eq!(with_line("PermitRootLogin no\n", &other, line), "PermitRootLogin no\n");
    }

    #[test]
    fn groups_can_be_used_in_the_replacement() {
        let expression = reading::regex("^(deb) (.*)$").unwrap();
        assert_eq!(edited("deb a\ndeb b\n", &expression, "$1-src $2"), Some(("deb-src a\ndeb-src b\n".into(), 2)));
        let all = reading::regex("(?s).+").unwrap();
        let megabyte = "x".repeat(1 << 20);
        assert_eq!(edited(&megabyte, &all, "$0$0").unwrap().0.len(), 2 << 20);
        assert_eq!(edited(&megabyte, &all, &"$0".repeat(1 << 20)), None);
    }
}
