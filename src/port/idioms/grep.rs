//! `grep` as a condition.

use super::{Call, expression, has, value};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::shell::Command;
use crate::port::value::{Base, quoted};

/// The file has a line that matches.
///
/// # Errors
/// The pattern depends on a variable, or there is not one file.
pub fn condition(hook: &mut Hook<'_>, command: &Command) -> Result<String, Kept> {
    let call = Call::new(command)?;
    call.unredirected()?;
    let known = ["-q", "-E", "-F", "-x", "-s", "-i", "--quiet", "--extended-regexp", "--fixed-strings"];
    let (options, operands) = call.known_options(&known, &["-e"])?;
    let (pattern, file) = match (value(&options, &["-e"]), operands.as_slice()) {
        (Some(pattern), [file]) => (pattern, *file),
        (None, [pattern, file]) => (*pattern, *file),
        _ => return Err(Kept::new("`grep` of what is not one file")),
    };
    let text = match hook.constant(pattern) {
        Some(text) => Some(text.to_owned()),
        None => {
            let pattern = hook.value(pattern, Use::Whole)?;
            pattern.literal().filter(|_| pattern.base == Base::Plain)
        }
    };
    let text = text.ok_or_else(|| Kept::new("a pattern of `grep` that depends on a variable"))?;
    let expression = if call.name == "fgrep" || has(&options, &["-F", "--fixed-strings"]) {
        regex::escape(&text)
    } else {
        expression::question(&text, call.name == "egrep" || has(&options, &["-E", "--extended-regexp"]))?
    };
    let expression = if has(&options, &["-x"]) { format!("^(?:{expression})$") } else { expression };
    let expression = if has(&options, &["-i"]) { format!("(?i){expression}") } else { expression };
    let path = hook.path(file)?;
    if path.pattern {
        return Err(Kept::new("`grep` in a pattern of files"));
    }
    let path = path.code();
    Ok(format!("image.exists({path}) && !image.lines({path}, {}).is_empty()", quoted(&expression)))
}
