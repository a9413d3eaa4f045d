//! Loops.
//!
//! In: `for NAME in WORDS`. Out: a Rhai loop over the same texts: words, the words of a variable, files that a pattern matches, what
//! `ls` prints of them. Not here: what is done in each turn (`translate`).

use std::collections::BTreeSet;

use super::hook::{Hook, Local, Use};
use super::kept::Kept;
use super::shell::{Form, Node, Piece, Statement, Word, reader};
use super::step::{Placed, Step};
use super::translate::inner;
use super::value::{Base, Value, quoted};
use super::variable::{self, Known};

/// The steps of `for NAME in WORDS`.
///
/// # Errors
/// What it goes over, or its variable, is nothing that a draft can have.
pub fn step(
    hook: &mut Hook<'_>,
    name: &str,
    words: &[Word],
    body: &[Statement],
    line: usize,
) -> Result<Vec<Placed>, Kept> {
    let mut lists = Vec::new();
    let mut items: Vec<String> = Vec::new();
    let mut folders = BTreeSet::new();
    for word in words {
        if let [Piece::Command { text, bare: true }] = word.pieces.as_slice()
            && let Some((list, folder)) = listed(hook, text)?
        {
            flush(&mut items, &mut lists);
            lists.push(list);
            folders.insert(folder);
            continue;
        }
        if let [Piece::Variable { bare: true, .. }] = word.pieces.as_slice()
            && !word.has_pattern()
        {
            let value = hook.value(word, Use::Whole)?;
            if value.base != Base::Plain {
                return Err(Kept::new("a loop over a folder"));
            }
            hook.import("variables");
            flush(&mut items, &mut lists);
            lists.push(format!("variables::words({})", value.code()));
            folders.insert(None);
            continue;
        }
        let value = hook.value(word, Use::Split)?;
        if value.base == Base::Hook {
            return Err(Kept::new("a loop over files of the hook's folder"));
        }
        if value.pattern {
            let path = hook.located(value, &word.source)?;
            hook.import("files");
            flush(&mut items, &mut lists);
            lists.push(format!("files::matches(image, {})", path.code()));
            folders.insert(folder(&path));
            continue;
        }
        let value = if value.base == Base::Image { hook.located(value, &word.source)? } else { value };
        folders.insert(folder(&value));
        items.push(value.code());
    }
    flush(&mut items, &mut lists);
    if hook.locals.contains_key(name) {
        return Err(Kept::new(format!("the loop's variable `{name}` is used outside too")));
    }
    let rhai = variable::rhai_name(name);
    if hook.locals.values().any(|local| local.name == rhai) {
        return Err(Kept::new(format!("two variables would be called `{rhai}`")));
    }
    let image = words.iter().any(|word| matches!(word.pieces.first(), Some(Piece::Variable { name, form: Form::Plain, .. }) if matches!(variable::known(name, hook.phase), Known::Image)));
    // All of its values are in one folder.
    let folder = match folders.pop_first() {
        Some(Some(folder)) if folders.is_empty() => Some(folder),
        _ => None,
    };
    let base = if image { Base::Image } else { Base::Plain };
    hook.locals.insert(name.to_owned(), Local { name: rhai.clone(), base, constant: None, folder });
    hook.loops += 1;
    let steps = inner(hook, body, false);
    hook.loops -= 1;
    // After the loop the shell still has its last value.
    hook.locals.remove(name);
    let list = if lists.is_empty() { "[]".to_owned() } else { lists.join(" + ") };
    if body.iter().any(|statement| matches!(statement.node, Node::And(..)))
        && matches!(body.last().map(|statement| &statement.node), Some(Node::And(..)))
    {
        return Err(Kept::new("a loop that ends in `&&`: its status may be the hook's"));
    }
    Ok(vec![Step::For(rhai, list, steps).at(line)])
}

/// Ends a list of texts that are written out.
fn flush(items: &mut Vec<String>, lists: &mut Vec<String>) {
    if !items.is_empty() {
        lists.push(format!("[{}]", std::mem::take(items).join(", ")));
    }
}

/// The folder that a path is in, or everything that a pattern matches.
fn folder(path: &Value) -> Option<String> {
    let plain = path.prefix().split(['*', '?', '[']).next().unwrap_or_default();
    plain.rsplit_once('/').map(|(folder, _)| folder.to_owned()).filter(|folder| !folder.is_empty())
}

/// `$(ls PATTERN)` and `$(ls PATTERN | grep -v TEXT)`: the list, and the folder that its paths are in.
fn listed(hook: &mut Hook<'_>, text: &str) -> Result<Option<(String, Option<String>)>, Kept> {
    let Ok(script) = reader::read(text) else { return Ok(None) };
    let [statement] = script.statements.as_slice() else { return Ok(None) };
    let parts = match &statement.node {
        Node::Pipe(parts) => parts.as_slice(),
        Node::Command(_) => std::slice::from_ref(statement),
        _ => return Ok(None),
    };
    let Some((Statement { node: Node::Command(list), .. }, filters)) = parts.split_first() else { return Ok(None) };
    let [program, pattern] = list.words.as_slice() else { return Ok(None) };
    if program.source != "ls" || !pattern.has_pattern() || !list.redirects.is_empty() {
        return Ok(None);
    }
    let mut filtered = String::new();
    for filter in filters {
        let Node::Command(filter) = &filter.node else { return Ok(None) };
        let [grep, inverted, text] = filter.words.as_slice() else { return Ok(None) };
        let plain = text.literal().filter(|text| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_/ ".contains(letter))
        });
        let Some(plain) = plain.filter(|_| grep.source == "grep" && inverted.source == "-v") else { return Ok(None) };
        filtered.push_str(&format!(".filter(|path| !path.contains({}))", quoted(&plain)));
    }
    let value = hook.value(pattern, Use::Split)?;
    let path = hook.located(value, &pattern.source)?;
    hook.import("files");
    Ok(Some((format!("files::listed(image, {}){filtered}", path.code()), folder(&path))))
}
