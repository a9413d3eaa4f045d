//! Changing text files in place. Needs `write:` with a prefix of the path; symlinks are followed; mode and owner stay.

use rhai::plugin::*;

use super::super::effect;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::reading;
use crate::target::Attributes;

/// Every match replaced, and how many there were.
fn edited(text: &str, expression: &regex::Regex, replacement: &str) -> (String, i64) {
    let count = i64::try_from(expression.find_iter(text).count()).unwrap_or(i64::MAX);
    (expression.replace_all(text, replacement).into_owned(), count)
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
        let mut count = 0;
        super::super::files::change(image, &real, |text| {
            let (text, replaced) = edited(text, &expression, replacement);
            count = replaced;
            text
        })?;
        Ok(count)
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
        assert_eq!(edited("deb a\ndeb b\n", &expression, "$1-src $2"), ("deb-src a\ndeb-src b\n".into(), 2));
    }
}
