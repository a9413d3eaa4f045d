//! Files of the element that go into the image: `cp`, `install`.

use super::files::{mode, place};
use super::{Call, has, run, value};
use crate::port::hook::Hook;
use crate::port::kept::Kept;
use crate::port::shell::Word;
use crate::port::step::{Step, verb};
use crate::port::value::quoted;

/// Sources and destination.
fn sides<'w>(options: &'w [(String, Option<Word>)], operands: &[&'w Word]) -> Option<(Vec<&'w Word>, &'w Word, bool)> {
    match value(options, &["-t", "--target-directory"]) {
        Some(folder) if !operands.is_empty() => Some((operands.to_vec(), folder, true)),
        None if operands.len() > 1 => {
            let (to, from) = operands.split_last()?;
            Some((from.to_vec(), to, from.len() > 1))
        }
        _ => None,
    }
}

/// The steps that copy `sources` of the element to `to`, a folder when `folder`.
fn copied(
    hook: &mut Hook<'_>,
    sources: &[&Word],
    to: &Word,
    folder: bool,
    options: Option<&str>,
) -> Result<Vec<Step>, Kept> {
    let path = hook.path(to)?;
    if path.pattern {
        return Err(Kept::new("a copy to a pattern of files"));
    }
    let mut steps = Vec::new();
    for source in sources {
        let Some(own) = hook.own_file(source) else {
            return Err(Kept::new(format!("a copy of `{}`, which is no file of the element's own", source.source)));
        };
        let name = own.rsplit('/').next().unwrap_or_default().to_owned();
        hook.need_write(&path);
        let at = if folder {
            let mut inside = path.clone();
            inside.push_text(&format!(
                "{}{name}",
                if path.literal().is_some_and(|text| text.ends_with('/')) { "" } else { "/" }
            ));
            inside.code()
        } else if source.source.ends_with("/.") {
            path.code()
        } else {
            place(hook, &path, Some(&name))?
        };
        let mut arguments = vec![quoted(&own), at];
        arguments.extend(options.map(str::to_owned));
        steps.push(verb("copy_in", arguments));
    }
    Ok(steps)
}

/// `cp`
///
/// # Errors
/// The sources are on the host, or an option says more than a draft can.
pub fn cp(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let known = ["-r", "-R", "-f", "-v", "-L", "-P", "--recursive", "--force", "--verbose", "-a", "-p"];
    let (options, operands) = call.options(&["-t", "--target-directory"])?;
    let plain =
        options.iter().all(|(name, _)| known.contains(&name.as_str()) || name == "-t" || name == "--target-directory");
    let Some((sources, to, folder)) = sides(&options, &operands) else {
        return Err(Kept::new("`cp` without two names"));
    };
    let by_hook = sources.iter().any(|source| {
        hook.value(source, crate::port::hook::Use::Split)
            .is_ok_and(|value| value.base == crate::port::value::Base::Hook)
    });
    if by_hook && plain && !has(&options, &["-a", "-p"]) {
        return copied(hook, &sources, to, folder, None);
    }
    run::tool(hook, call)
}

/// `install`
///
/// # Errors
/// As [`cp`].
pub fn install(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let valued = ["-m", "-o", "-g", "-t", "--mode", "--owner", "--group", "--target-directory"];
    let (options, operands) = call.known_options(&["-d", "-D", "-v", "--directory"], &valued)?;
    let mut entries = Vec::new();
    let given = match value(&options, &["-m", "--mode"]) {
        Some(word) => mode(word).ok_or_else(|| Kept::new("a mode in letters"))?,
        None => "0o755".to_owned(),
    };
    entries.push(format!("mode: {given}"));
    for (names, key) in [(["-o", "--owner"], "owner"), (["-g", "--group"], "group")] {
        if let Some(word) = value(&options, &names) {
            let name = word.literal().ok_or_else(|| Kept::new(format!("an {key} named by a variable")))?;
            entries.push(format!("{key}: {}", quoted(&name)));
        }
    }
    let map = format!("#{{ {} }}", entries.join(", "));
    if has(&options, &["-d", "--directory"]) {
        let mut steps = Vec::new();
        for word in operands {
            let path = hook.path(word)?;
            if path.pattern {
                return Err(Kept::new("`install -d` of a pattern of files"));
            }
            hook.need_write(&path);
            steps.push(verb("make_dir", vec![path.code(), map.clone()]));
        }
        return Ok(steps);
    }
    let Some((sources, to, folder)) = sides(&options, &operands) else {
        return Err(Kept::new("`install` without two names"));
    };
    if sources.iter().all(|source| hook.own_file(source).is_some()) {
        return copied(hook, &sources, to, folder, Some(&map));
    }
    run::tool(hook, call)
}
