//! Statements of a hook become statements of a draft.
//!
//! In: a script. Out: steps, or what keeps the hook in shell. A hook is translated whole or not at all. What a draft promises:
//! where the shell hook succeeds, the image is the same afterwards; where it would have stopped with an error, the draft may
//! stop too or do what was meant. Not here: what single commands mean (`idioms`), conditions (`condition`), loops (`repeat`).

use std::collections::{BTreeMap, BTreeSet};

use super::condition;
use super::hook::{Hook, Local, Use, single};
use super::idioms;
use super::kept::Kept;
use super::repeat;
use super::shell::{Assignment, Command, Form, Node, Piece, Script, Statement, Word};
use super::step::{Placed, Step};
use super::value::{Base, quoted};
use super::variable::{self, Known};

/// The steps of `script`, which `hook` is about.
///
/// # Errors
/// Everything that keeps it in shell.
pub fn script(hook: &mut Hook<'_>, script: &Script) -> Result<Vec<Placed>, Vec<Kept>> {
    let shell = script.interpreter.split_whitespace().next().unwrap_or_default();
    let by_env = shell.ends_with("/env") && script.interpreter.ends_with("bash");
    if !by_env && !["/bash", "/sh"].iter().any(|end| shell.ends_with(end)) {
        let what = if script.interpreter.is_empty() { "no `#!` line" } else { &script.interpreter };
        return Err(vec![Kept { line: 1, reason: format!("not a shell script ({what})") }]);
    }
    if !sets(script, 'e', "errexit") {
        return Err(vec![Kept {
            line: 1,
            reason: "no `set -e`: it goes on after errors, which a Rhai hook does not".into(),
        }]);
    }
    let mut all: Vec<(String, Option<Word>)> = Vec::new();
    assigned(&script.statements, &mut all);
    hook.single = single_words(&all);
    hook.constants = constants(&all);
    hook.nounset = sets(script, 'u', "nounset");
    hook.pipefail = sets(script, '\0', "pipefail");
    let mut steps = block(hook, &script.statements, true);
    let early: Vec<String> = hook.early.iter().cloned().collect();
    for name in early {
        // Before its first assignment it has the value of the environment.
        if let Known::Refused(reason) = variable::known(&name, hook.phase) {
            hook.kept.push(Kept { line: 1, reason: format!("assigns `{name}`: {reason}") });
        }
        let (local, base) = hook
            .locals
            .get(&name)
            .map_or_else(|| (variable::rhai_name(&name), Base::Plain), |local| (local.name.clone(), local.base));
        // What no Rhai hook sees is the script's own.
        let own = base != Base::Plain || !hook.sees(&name);
        let value = if own { "\"\"".to_owned() } else { format!("image.env({})", quoted(&name)) };
        steps.insert(0, Step::Let(local, value).at(0));
    }
    if hook.kept.is_empty() { Ok(steps) } else { Err(std::mem::take(&mut hook.kept)) }
}

/// The script sets an option of the shell, by its letter or its name, in its first line or with `set`.
fn sets(script: &Script, letter: char, name: &str) -> bool {
    let by_letter = |options: &str| options.starts_with('-') && !options.starts_with("--") && options.contains(letter);
    script.interpreter.split_whitespace().skip(1).any(by_letter)
        || script.statements.iter().any(|statement| match &statement.node {
            Node::Command(command) if command.literal(0).as_deref() == Some("set") => {
                let words: Vec<String> = command.words.iter().filter_map(Word::literal).collect();
                words.iter().any(|word| by_letter(word))
                    || words.windows(2).any(|pair| pair[0].ends_with('o') && pair[1] == name)
            }
            _ => false,
        })
}

/// Variables that are assigned once, a text that is written out.
fn constants(all: &[(String, Option<Word>)]) -> BTreeMap<String, String> {
    let once = |name: &str| all.iter().filter(|(other, _)| other == name).count() == 1;
    let written = |word: &Option<Word>| word.as_ref().filter(|word| !word.has_pattern()).and_then(Word::literal);
    all.iter().filter(|(name, _)| once(name)).filter_map(|(name, word)| Some((name.clone(), written(word)?))).collect()
}

/// Names all of whose values are single words.
fn single_words(all: &[(String, Option<Word>)]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
    loop {
        let good = |word: &Option<Word>| {
            let Some(word) = word else { return false };
            let mut some = false;
            let pieces = word.pieces.iter().all(|piece| match piece {
                Piece::Text { text, .. } => {
                    some |= !text.is_empty();
                    text.is_empty() || single(text)
                }
                Piece::Variable { name, form: Form::Plain, .. } => {
                    let known = !matches!(variable::known(name, crate::plan::Phase::Root), Known::Environment);
                    some = true;
                    names.contains(name) || (known && name != "IMAGE_NAME") || variable::is_single(name)
                }
                Piece::Command { text, .. } => {
                    some = true;
                    text.starts_with("dirname")
                }
                _ => false,
            });
            pieces && some
        };
        let bad: Vec<String> = all.iter().filter(|(_, word)| !good(word)).map(|(name, _)| name.clone()).collect();
        let before = names.len();
        names.retain(|name| !bad.contains(name));
        if names.len() == before {
            return names;
        }
    }
}

/// Every variable that the statements assign, with its value when it is a word.
fn assigned(statements: &[Statement], all: &mut Vec<(String, Option<Word>)>) {
    for statement in statements {
        match &statement.node {
            Node::Command(command) => {
                for Assignment { name, value, append } in &command.assignments {
                    all.push((name.clone(), (!append).then(|| value.clone())));
                }
            }
            Node::And(a, b) | Node::Or(a, b) => {
                [a, b].into_iter().for_each(|part| assigned(std::slice::from_ref(part), all))
            }
            Node::Not(a) => assigned(std::slice::from_ref(a), all),
            Node::Pipe(parts) | Node::Group(parts) => assigned(parts, all),
            Node::If(branches, otherwise) => {
                for (condition, branch) in branches {
                    assigned(condition, all);
                    assigned(branch, all);
                }
                assigned(otherwise.as_deref().unwrap_or_default(), all);
            }
            Node::Case(_, arms) => arms.iter().for_each(|(_, arm)| assigned(arm, all)),
            Node::For(name, words, body) => {
                all.extend(words.iter().map(|word| (name.clone(), (!word.has_pattern()).then(|| word.clone()))));
                assigned(body, all);
            }
            Node::Test(_) | Node::Other(_) => {}
        }
    }
}

/// Statements in a row; `last` when the hook ends after them.
pub fn block(hook: &mut Hook<'_>, statements: &[Statement], last: bool) -> Vec<Placed> {
    let mut steps: Vec<Placed> = Vec::new();
    for (index, one) in statements.iter().enumerate() {
        match statement(hook, one, last && index + 1 == statements.len()) {
            Ok(mut more) => {
                // A message right before the end of the build is why it ends.
                if let [Placed { line, step: Step::Fail(_) }] = more.as_slice()
                    && let Some(message) = taken_messages(&mut steps)
                {
                    more = vec![Step::Fail(message).at(*line)];
                }
                steps.extend(more);
            }
            Err(kept) => hook.kept.push(kept.at(one.line)),
        }
    }
    steps
}

/// The messages at the end of `steps`, taken from there, as one expression.
fn taken_messages(steps: &mut Vec<Placed>) -> Option<String> {
    let mut messages = Vec::new();
    while let Some(Placed { step: Step::Log(message), .. }) = steps.last() {
        messages.insert(0, message.clone());
        steps.pop();
    }
    // Lines of text are one text.
    (!messages.is_empty()).then(|| messages.join(" + \" \" + ").replace("\" + \" \" + \"", " "))
}

/// Statements inside another one.
pub fn inner(hook: &mut Hook<'_>, statements: &[Statement], last: bool) -> Vec<Placed> {
    hook.depth += 1;
    let steps = block(hook, statements, last);
    hook.depth -= 1;
    steps
}

fn statement(hook: &mut Hook<'_>, statement: &Statement, last: bool) -> Result<Vec<Placed>, Kept> {
    let line = statement.line;
    let placed = |steps: Vec<Step>| steps.into_iter().map(|step| step.at(line)).collect();
    match &statement.node {
        Node::Command(command) => {
            if command.words.is_empty() || declares(command) {
                return assignments(hook, command).map(placed);
            }
            if condition::is_one(statement) {
                return Ok(vec![demanded(hook, statement)?]);
            }
            idioms::command(hook, command, line).map(placed)
        }
        Node::Test(_) => Ok(vec![demanded(hook, statement)?]),
        Node::Pipe(parts) => idioms::pipe(hook, parts).map(placed),
        Node::Group(statements) => Ok(block(hook, statements, last)),
        Node::And(a, b) => {
            if is_tracing(b) {
                return Ok(vec![Step::Nothing(String::new()).at(line)]);
            }
            let condition = condition::of(hook, a)?;
            let then = inner(hook, std::slice::from_ref(b), last);
            // The status of a false condition is the hook's own when nothing follows.
            let otherwise = last.then(|| vec![Step::Fail(quoted(&format!("line {line} does not hold"))).at(line)]);
            Ok(vec![Step::If(vec![(condition, then)], otherwise).at(line)])
        }
        Node::Or(a, b) => {
            if is_success(b) && !condition::is_one(a) {
                let body = inner(hook, std::slice::from_ref(a), false);
                return Ok(vec![Step::Try(body).at(line)]);
            }
            let condition = condition::negated(&condition::of(hook, a)?);
            let then = inner(hook, std::slice::from_ref(b), last);
            Ok(vec![Step::If(vec![(condition, then)], None).at(line)])
        }
        Node::Not(_) => Err(Kept::new("`!` before a command that stands alone")),
        Node::If(branches, otherwise) => conditional(hook, branches, otherwise.as_deref(), line, last),
        Node::Case(word, arms) => case(hook, word, arms, line, last),
        Node::For(name, words, body) => repeat::step(hook, name, words, body, line),
        Node::Other(what) => Err(Kept::new(what.clone())),
    }
}

/// A condition that stands alone: the hook stops unless it holds.
fn demanded(hook: &mut Hook<'_>, statement: &Statement) -> Result<Placed, Kept> {
    let condition = condition::of(hook, statement)?;
    let line = statement.line;
    if condition == "true" {
        return Ok(Step::Nothing("the image's folder is always there".into()).at(line));
    }
    let fail = Step::Fail(quoted(&format!("the condition in line {line} of the shell hook does not hold"))).at(line);
    Ok(Step::If(vec![(condition::negated(&condition), vec![fail])], None).at(line))
}

fn is_success(statement: &Statement) -> bool {
    matches!(&statement.node, Node::Command(command) if command.words.len() == 1 && command.redirects.is_empty()
        && matches!(command.literal(0).as_deref(), Some("true" | ":")))
}

/// `set -x`, which shows what the shell does.
fn is_tracing(statement: &Statement) -> bool {
    matches!(&statement.node, Node::Command(command) if command.literal(0).as_deref() == Some("set")
        && matches!(command.literal(1).as_deref(), Some("-x" | "+x")))
}

fn declares(command: &Command) -> bool {
    matches!(command.literal(0).as_deref(), Some("export" | "local" | "declare" | "readonly" | "typeset"))
}

fn assignments(hook: &mut Hook<'_>, command: &Command) -> Result<Vec<Step>, Kept> {
    if !command.redirects.is_empty() {
        // `> file` empties it.
        return idioms::redirected_nothing(hook, command);
    }
    let first = command.literal(0);
    if first.as_deref() == Some("export") && !hook.in_image() {
        // Commands of a draft have no environment of the hook's; on the host it runs none.
    } else if first.is_some() && (first.as_deref() != Some("export") || command.words.len() > 1) {
        return Err(Kept::new(format!("`{}`", first.unwrap_or_default())));
    }
    let mut steps = Vec::new();
    for assignment in &command.assignments {
        // `export X=$(…)` succeeds whatever the command does.
        hook.checked = first.is_none();
        let step = assign(hook, assignment);
        hook.checked = false;
        if step.is_err() {
            // Its uses are no reasons of their own.
            let name = variable::rhai_name(&assignment.name);
            let local = Local { name, base: Base::Plain, constant: None, folder: None };
            hook.locals.entry(assignment.name.clone()).or_insert(local);
        }
        steps.extend(step?);
    }
    Ok(steps)
}

fn assign(hook: &mut Hook<'_>, assignment: &Assignment) -> Result<Option<Step>, Kept> {
    let name = assignment.name.as_str();
    if assignment.value.pieces.iter().filter(|piece| matches!(piece, Piece::Command { .. })).count() > 1 {
        return Err(Kept::new(
            "an assignment of the output of several commands, of which the last one's status counts",
        ));
    }
    let value = hook.value(&assignment.value, Use::Whole)?;
    let known = hook.locals.get(name).cloned();
    if let Known::Refused(reason) = variable::known(name, hook.phase) {
        return Err(Kept::new(format!("assigns `{name}`: {reason}")));
    }
    if value.base == Base::Hook {
        if hook.depth > 0 || known.is_some() || value.literal().is_none() {
            return Err(Kept::new(format!("`{name}` changes between folders")));
        }
        let local = Local { name: String::new(), base: Base::Hook, constant: Some(value), folder: None };
        hook.locals.insert(name.to_owned(), local);
        return Ok(None);
    }
    let rhai = variable::rhai_name(name);
    if known.as_ref().is_some_and(|local| local.base != value.base) {
        return Err(Kept::new(format!("`{name}` is in the image in one place and elsewhere in another")));
    }
    if hook.locals.iter().any(|(other, local)| other != name && local.name == rhai) {
        return Err(Kept::new(format!("two variables would be called `{rhai}`")));
    }
    let declared = known.is_some();
    let code = if value.parts.is_empty() && value.base == Base::Image { "\"/\"".to_owned() } else { value.code() };
    if !declared {
        let local = Local { name: rhai.clone(), base: value.base, constant: None, folder: None };
        hook.locals.insert(name.to_owned(), local);
        if hook.depth == 0 && !assignment.append {
            return Ok(Some(Step::Let(rhai, code)));
        }
        hook.early.insert(name.to_owned());
    }
    if assignment.append && value.base != Base::Plain {
        return Err(Kept::new(format!("a folder is added to `{name}`")));
    }
    Ok(Some(Step::Set(rhai, code, assignment.append)))
}

fn conditional(
    hook: &mut Hook<'_>,
    branches: &[(Vec<Statement>, Vec<Statement>)],
    otherwise: Option<&[Statement]>,
    line: usize,
    last: bool,
) -> Result<Vec<Placed>, Kept> {
    // `if [ $DIB_DEBUG_TRACE … ]; then set -x; fi`
    if branches.iter().all(|(_, branch)| branch.iter().all(is_tracing)) && otherwise.is_none() {
        return Ok(vec![Step::Nothing(String::new()).at(line)]);
    }
    let mut arms = Vec::new();
    for (condition, branch) in branches {
        let [one] = condition.as_slice() else {
            return Err(Kept::new("a condition of several commands"));
        };
        let condition = condition::of(hook, one).map_err(|kept| kept.at(one.line))?;
        arms.push((condition, inner(hook, branch, last)));
    }
    let otherwise = otherwise.map(|branch| inner(hook, branch, last));
    Ok(vec![Step::If(arms, otherwise).at(line)])
}

fn case(
    hook: &mut Hook<'_>,
    word: &Word,
    arms: &[(Vec<Word>, Vec<Statement>)],
    line: usize,
    last: bool,
) -> Result<Vec<Placed>, Kept> {
    let value = hook.value(word, Use::Whole)?;
    if value.base != Base::Plain {
        return Err(Kept::new("a `case` over a folder"));
    }
    let code = value.code();
    let (mut branches, mut otherwise) = (Vec::new(), None);
    for (patterns, body) in arms {
        if otherwise.is_some() {
            return Err(Kept::new("a branch of `case` after `*)`"));
        }
        if patterns.iter().any(|pattern| pattern.source == "*") {
            otherwise = Some(inner(hook, body, last));
            continue;
        }
        let tests =
            patterns.iter().map(|pattern| condition::matches(hook, &code, pattern)).collect::<Result<Vec<_>, _>>()?;
        branches.push((tests.join(" || "), inner(hook, body, last)));
    }
    if branches.is_empty() {
        return Ok(otherwise.unwrap_or_default());
    }
    Ok(vec![Step::If(branches, otherwise).at(line)])
}
