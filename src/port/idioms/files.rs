//! Folders, links, owners and modes: `mkdir`, `rm`, `rmdir`, `touch`, `ln`, `chmod`, `chown`.

use super::{Call, has, run, value};
use crate::port::condition;
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::shell::Word;
use crate::port::step::{Step, verb};
use crate::port::value::{Base, Part, Value, quoted};

/// A mode in octal, as Rhai writes it.
pub fn mode(word: &Word) -> Option<String> {
    let text = word.literal()?;
    let digits = text.trim_start_matches('0');
    (!text.is_empty() && digits.len() <= 4 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit)))
        .then(|| format!("0o{digits:0>3}"))
}

fn paths(hook: &mut Hook<'_>, words: &[&Word]) -> Result<Vec<Value>, Kept> {
    words.iter().map(|word| hook.path(word)).collect()
}

/// `mkdir`
///
/// # Errors
/// An option or path that a draft cannot express.
pub fn mkdir(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (options, operands) = call.known_options(&["-p", "-v", "--parents", "--verbose"], &["-m", "--mode"])?;
    let mode = match value(&options, &["-m", "--mode"]) {
        Some(word) => Some(mode(word).ok_or_else(|| Kept::new("a mode in letters"))?),
        None => None,
    };
    let mut steps = Vec::new();
    for path in paths(hook, &operands)? {
        if path.pattern {
            return Err(Kept::new("`mkdir` of a pattern of files"));
        }
        hook.need_write(&path);
        match &mode {
            None => steps.push(verb("make_dir", vec![path.code()])),
            // A folder that is there keeps its mode.
            Some(mode) => {
                let make = verb("make_dir", vec![path.code(), format!("#{{ mode: {mode} }}")]);
                let missing = condition::negated(&format!("image.exists({})", path.code()));
                steps.push(Step::If(vec![(missing, vec![make.at(0)])], None));
            }
        }
    }
    Ok(steps)
}

/// `rm`
///
/// # Errors
/// As [`mkdir`].
pub fn rm(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let known = ["-r", "-R", "-f", "-v", "--recursive", "--force", "--verbose"];
    let (_, operands) = call.known_options(&known, &[])?;
    let mut steps = Vec::new();
    for path in paths(hook, &operands)? {
        // A variable of the script whose values are written out is no danger; another one could be empty.
        let own = matches!(path.parts.first(), Some(Part::Code(code)) if hook.single.iter().any(|name| hook.locals.get(name).is_some_and(|local| local.name == *code)));
        let own = own || path.folder.is_some();
        if !own && path.prefix().trim_end_matches('/').is_empty() {
            return Err(Kept::new("removes what a variable names alone"));
        }
        hook.need_write(&path);
        if path.pattern {
            hook.import("files");
            steps.push(Step::Call("files::remove_all".into(), vec!["image".into(), format!("[{}]", path.code())]));
        } else {
            steps.push(verb("remove", vec![path.code()]));
        }
    }
    Ok(steps)
}

/// `rmdir`
///
/// # Errors
/// As [`mkdir`].
pub fn rmdir(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (_, operands) = call.known_options(&[], &[])?;
    let mut steps = Vec::new();
    for path in paths(hook, &operands)? {
        if path.pattern {
            return Err(Kept::new("`rmdir` of a pattern of files"));
        }
        hook.need_write(&path);
        hook.import("files");
        steps.push(Step::Call("files::remove_empty".into(), vec!["image".into(), path.code()]));
    }
    Ok(steps)
}

/// `touch`
///
/// # Errors
/// As [`mkdir`].
pub fn touch(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (_, operands) = call.known_options(&[], &[])?;
    let mut steps = Vec::new();
    for path in paths(hook, &operands)? {
        if path.pattern {
            return Err(Kept::new("`touch` of a pattern of files"));
        }
        hook.need_write(&path);
        hook.import("files");
        steps.push(Step::Call("files::write_once".into(), vec!["image".into(), path.code(), "\"\"".into()]));
    }
    Ok(steps)
}

/// `ln -s`
///
/// # Errors
/// As [`mkdir`].
pub fn ln(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let known = ["-s", "-f", "-n", "-v", "-T", "--symbolic", "--force", "--no-dereference"];
    let (options, operands) = call.known_options(&known, &[])?;
    if !has(&options, &["-s", "--symbolic"]) {
        return Err(Kept::new("a hard link"));
    }
    let [target, link] = operands.as_slice() else { return Err(Kept::new("`ln` of several files")) };
    let points_to = hook.value(target, Use::Split)?;
    if points_to.base != Base::Plain || points_to.pattern {
        return Err(Kept::new("a link to a folder of the host"));
    }
    let link = hook.path(link)?;
    if link.pattern {
        return Err(Kept::new("a link by a pattern of files"));
    }
    let name = last_part(&points_to);
    hook.need_write(&link);
    let at = match (has(&options, &["-T"]), &name) {
        (true, _) => link.code(),
        (false, None) => {
            hook.import("variables");
            hook.import("files");
            format!("files::place(image, {}, variables::basename({}))", link.code(), points_to.code())
        }
        (false, name) => place(hook, &link, name.as_deref())?,
    };
    Ok(vec![verb("symlink", vec![points_to.code(), at])])
}

/// The last part of a path, when it is written out.
fn last_part(path: &Value) -> Option<String> {
    match path.parts.as_slice() {
        [Part::Text(text)] => text.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned),
        [.., Part::Text(text)] => {
            text.rsplit_once('/').map(|(_, name)| name.to_owned()).filter(|name| !name.is_empty())
        }
        _ => None,
    }
}

/// Endings of files that nobody gives a folder.
const ENDINGS: [&str; 24] = [
    "conf",
    "cfg",
    "rules",
    "sh",
    "service",
    "socket",
    "timer",
    "target",
    "list",
    "repo",
    "yaml",
    "yml",
    "json",
    "ini",
    "py",
    "rpm",
    "deb",
    "txt",
    "nmconnection",
    "network",
    "link",
    "init",
    "profile",
    "local",
];

/// Where `cp`, `ln` and `install` put a file called `name` that goes to `path`: inside, when that is a folder.
///
/// # Errors
/// The name is not known.
pub fn place(hook: &mut Hook<'_>, path: &Value, name: Option<&str>) -> Result<String, Kept> {
    let last = path.literal().unwrap_or_default();
    let known = last.rsplit('/').next().unwrap_or_default();
    if known.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending)) {
        return Ok(path.code());
    }
    let name = name.ok_or_else(|| Kept::new("a file of unknown name goes to what may be a folder"))?;
    if last.ends_with('/') {
        return Ok(Value::text(format!("{last}{name}")).code());
    }
    // Tools and settings without an ending: a file of the same name.
    if known == name && !known.ends_with(".d") {
        return Ok(path.code());
    }
    hook.import("files");
    Ok(format!("files::place(image, {}, {})", path.code(), quoted(name)))
}

/// `chmod`
///
/// # Errors
/// As [`mkdir`].
pub fn chmod(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let octal = call.arguments.split_first().and_then(|(first, rest)| Some((mode(first)?, rest)));
    let Some((mode, words)) = octal.filter(|(_, words)| !words.is_empty()) else { return run::tool(hook, call) };
    changed(hook, words, |path| verb("chmod", vec![path, mode.clone()]))
}

/// `chown`
///
/// # Errors
/// As [`mkdir`].
pub fn chown(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let Some((first, words)) = call.arguments.split_first().filter(|(_, words)| !words.is_empty()) else {
        return Err(Kept::new("`chown` without a file"));
    };
    let owner = first
        .literal()
        .filter(|owner| !owner.starts_with('-') && !owner.starts_with(':') && !owner.ends_with([':', '.']));
    let Some(owner) = owner else { return run::tool(hook, call) };
    let names = match owner.split_once(':') {
        Some((user, group)) => vec![quoted(user), quoted(group)],
        None => vec![quoted(&owner)],
    };
    changed(hook, words, |path| verb("chown", [vec![path], names.clone()].concat()))
}

/// One step for each path, or a loop for a pattern.
fn changed(hook: &mut Hook<'_>, words: &[Word], step: impl Fn(String) -> Step) -> Result<Vec<Step>, Kept> {
    let mut steps = Vec::new();
    for word in words {
        let path = hook.path(word)?;
        hook.need_write(&path);
        if path.pattern {
            let body = vec![step("path".into()).at(0)];
            if hook.locals.values().any(|local| local.name == "path") {
                return Err(Kept::new("a pattern of files beside a variable `path`"));
            }
            steps.push(Step::For("path".into(), format!("image.glob({})", path.code()), body));
        } else {
            steps.push(step(path.code()));
        }
    }
    Ok(steps)
}
