//! Arguments of the kernel: edits of `/etc/default/grub`, and `grubby`.
//!
//! In: edits of the line that GRUB takes arguments from, text that is added to that file, a call of `grubby`. Out: the verbs for the
//! kernel's command line, which know the boot loaders of all distributions. The arguments are those that the hook says; blanks
//! between them may differ. `GRUB_CMDLINE_LINUX_DEFAULT` stays an edit: the verbs are about every entry of the menu.

use super::sed::{self, Edit};
use super::{Call, run, value};
use crate::port::hook::Hook;
use crate::port::kept::Kept;
use crate::port::step::{Step, verb};
use crate::port::value::{Value, quoted};

const FILE: &str = "/etc/default/grub";
const NAME: &str = "GRUB_CMDLINE_LINUX";

/// The arguments of a text, each a word that means itself.
fn words(text: &str) -> Option<Vec<String>> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " -_.,:/=".contains(letter);
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty() && text.chars().all(plain)).then_some(words)
}

fn step(hook: &mut Hook<'_>, name: &str, words: &[String]) -> Step {
    hook.need("kernel-args");
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    verb(name, vec![format!("[{}]", words.join(", "))])
}

/// The steps of `edits` of the file `path`, when each adds arguments.
pub fn edited(hook: &mut Hook<'_>, path: &Value, edits: &[Edit]) -> Option<Vec<Step>> {
    if path.literal()? != FILE {
        return None;
    }
    let all: Vec<Vec<String>> = edits.iter().map(added).collect::<Option<_>>()?;
    Some(all.iter().map(|words| step(hook, "add_kernel_args", words)).collect())
}

/// The arguments that an edit adds to the line.
fn added(edit: &Edit) -> Option<Vec<String>> {
    let Edit::Replace { expression, replacement, .. } = edit else { return None };
    if replacement.chars().any(|letter| sed::VALUES.contains(&(letter as u32))) {
        return None;
    }
    let line = expression.strip_prefix('^')?.strip_suffix('$').unwrap_or(&expression[1..]);
    let whole = [format!("{NAME}=\"(.*)\""), format!("({NAME}=\".*)\""), format!("{NAME}=\"")];
    let inside = if line == whole[0] {
        let inside = replacement.strip_prefix(&format!("{NAME}=\""))?.strip_suffix('"')?;
        inside.strip_prefix("\\1 ").or_else(|| inside.strip_suffix(" \\1"))?
    } else if line == whole[1] {
        replacement.strip_prefix("\\1 ")?.strip_suffix('"')?
    } else if line == whole[2] {
        replacement.strip_prefix(&whole[2]).or_else(|| replacement.strip_prefix('&'))?.strip_suffix(' ')?
    } else {
        return None;
    };
    words(inside)
}

/// The steps of a text that is added to the file `path`, when it adds arguments: `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX quiet"`.
pub fn appended(hook: &mut Hook<'_>, path: &Value, text: &Value) -> Option<Vec<Step>> {
    if path.literal()? != FILE {
        return None;
    }
    let text = text.literal()?;
    let value = text.trim_end().strip_prefix(&format!("{NAME}=\""))?.strip_suffix('"')?;
    let more = value.strip_prefix(&format!("${NAME} ")).or_else(|| value.strip_prefix(&format!("${{{NAME}}} ")))?;
    let words = words(more)?;
    Some(vec![step(hook, "add_kernel_args", &words)])
}

/// `grubby --update-kernel=ALL --args=… --remove-args=…`; anything else that it does is left to it.
///
/// # Errors
/// As [`run::command`].
pub fn grubby(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    match arguments(call) {
        Some((add, remove)) => {
            call.unredirected()?;
            let steps = [("remove_kernel_args", remove), ("add_kernel_args", add)];
            let steps = steps.into_iter().filter_map(|(name, words)| Some(step(hook, name, &words?)));
            Ok(steps.collect())
        }
        None => run::command(hook, call, None),
    }
}

/// What a call adds and removes; `None` when it does more.
#[expect(clippy::type_complexity, reason = "two lists, each of which may be missing")]
fn arguments(call: &Call<'_>) -> Option<(Option<Vec<String>>, Option<Vec<String>>)> {
    let valued = ["--update-kernel", "--args", "--remove-args"];
    let (options, operands) = call.known_options(&[], &valued).ok()?;
    let all = value(&options, &["--update-kernel"])?.literal()? == "ALL";
    let list = |name: &str| match value(&options, &[name]) {
        Some(word) => word.literal().and_then(|text| words(&text)).map(Some),
        None => Some(None),
    };
    let (add, remove) = (list("--args")?, list("--remove-args")?);
    (all && operands.is_empty() && (add.is_some() || remove.is_some())).then_some((add, remove))
}
