//! Conditions: `[ … ]`, `[[ … ]]`, `grep -q`, and commands that are asked for their status.
//!
//! In: a statement. Out: a Rhai expression that is true where the statement succeeds.

use super::hook::{Hook, Use, shortened};
use super::idioms;
use super::kept::Kept;
use super::pattern;
use super::shell::{Command, Node, Piece, Statement, Test, Word, reader};
use super::value::{Base, Value, quoted};
use super::variable;

/// The statement is a test and nothing but a test.
pub fn is_one(statement: &Statement) -> bool {
    match &statement.node {
        Node::Test(_) => true,
        Node::Command(command) => matches!(command.literal(0).as_deref(), Some("[" | "test")),
        _ => false,
    }
}

/// The expression that is true where `statement` succeeds.
///
/// # Errors
/// It is no condition that a draft can express.
pub fn of(hook: &mut Hook<'_>, statement: &Statement) -> Result<String, Kept> {
    match &statement.node {
        Node::Test(test) => double(hook, test),
        Node::Not(inner) => of(hook, inner).map(|code| negated(&code)),
        Node::And(a, b) => Ok(joined(&of(hook, a)?, "&&", &of(hook, b)?)),
        Node::Or(a, b) => Ok(joined(&of(hook, a)?, "||", &of(hook, b)?)),
        Node::Group(statements) if statements.len() == 1 => of(hook, &statements[0]),
        Node::Command(command) => match command.literal(0).as_deref() {
            Some("[" | "test") if command.redirects.is_empty() => single(hook, command),
            Some("grep" | "egrep" | "fgrep") => idioms::grep::condition(hook, command),
            Some("true" | ":") => Ok("true".into()),
            _ => idioms::run::condition(hook, command),
        },
        Node::Other(what) => Err(Kept::new(what.clone())),
        Node::Pipe(_) => Err(Kept::new("a pipe as a condition")),
        _ => Err(Kept::new("an unusual condition")),
    }
}

/// The opposite of a condition.
pub fn negated(code: &str) -> String {
    if code == "true" {
        return "false".into();
    }
    if let Some(inner) = code.strip_prefix('!')
        && !inner.contains(" && ")
        && !inner.contains(" || ")
    {
        return inner.to_owned();
    }
    let simple = !code.contains(" && ") && !code.contains(" || ");
    for (operator, opposite) in [(" == ", " != "), (" != ", " == ")] {
        if simple && code.matches(operator).count() == 1 && !code.contains('`') {
            return code.replacen(operator, opposite, 1);
        }
    }
    let call =
        simple && code.ends_with(')') && !code.contains(" < ") && !code.contains(" > ") && !code.starts_with('(');
    if call && !code.contains(" <= ") && !code.contains(" >= ") { format!("!{code}") } else { format!("!({code})") }
}

fn joined(a: &str, operator: &str, b: &str) -> String {
    if a == "true" && operator == "&&" {
        return b.to_owned();
    }
    if b == "true" && operator == "&&" {
        return a.to_owned();
    }
    let wrap = |code: &str| {
        let mixed = if operator == "&&" { code.contains(" || ") } else { code.contains(" && ") };
        if mixed { format!("({code})") } else { code.to_owned() }
    };
    format!("{} {operator} {}", wrap(a), wrap(b))
}

/// `[ … ]` and `test …`.
fn single(hook: &mut Hook<'_>, command: &Command) -> Result<String, Kept> {
    let mut words = &command.words[1..];
    if command.literal(0).as_deref() == Some("[") {
        let closed = words.last().and_then(Word::literal).as_deref() == Some("]");
        if !closed {
            return Err(Kept::new("a `[` without its `]`"));
        }
        words = &words[..words.len() - 1];
    }
    any(hook, words)
}

fn any(hook: &mut Hook<'_>, words: &[Word]) -> Result<String, Kept> {
    for (sign, operator) in [("-o", "||"), ("-a", "&&")] {
        let split = words.iter().skip(1).position(|word| word.source == sign).map(|at| at + 1);
        if let Some(at) = split.filter(|at| *at + 1 < words.len()) {
            let (a, b) = (any(hook, &words[..at])?, any(hook, &words[at + 1..])?);
            return Ok(joined(&a, operator, &b));
        }
    }
    match words {
        [not, rest @ ..] if not.source == "!" && !rest.is_empty() => Ok(negated(&any(hook, rest)?)),
        [operator, word] => unary(hook, &operator.source, word, true),
        [a, operator, b] => binary(hook, &operator.source, a, b, true),
        [word] => unary(hook, "-n", word, true),
        _ => Err(Kept::new("an unusual test in `[ … ]`")),
    }
}

fn double(hook: &mut Hook<'_>, test: &Test) -> Result<String, Kept> {
    match test {
        Test::And(a, b) => Ok(joined(&double(hook, a)?, "&&", &double(hook, b)?)),
        Test::Or(a, b) => Ok(joined(&double(hook, a)?, "||", &double(hook, b)?)),
        Test::Not(a) => double(hook, a).map(|code| negated(&code)),
        Test::Unary(operator, word) => unary(hook, operator, word, false),
        Test::Binary(operator, a, b) => binary(hook, operator, a, b, false),
    }
}

/// In `[ … ]` an unquoted variable that is empty or several words changes what is asked.
fn unquoted(word: &Word) -> Option<&str> {
    match word.pieces.as_slice() {
        [Piece::Variable { name, bare: true, form }] => {
            let filled = match form {
                super::shell::Form::Default(default) => default.literal().is_some_and(|text| !text.is_empty()),
                _ => false,
            };
            (!filled).then_some(name.as_str())
        }
        pieces if pieces.iter().any(|piece| matches!(piece, Piece::Command { bare: true, .. })) => Some("(…)"),
        _ => None,
    }
}

fn unary(hook: &mut Hook<'_>, operator: &str, word: &Word, split: bool) -> Result<String, Kept> {
    match operator {
        "-n" | "-z" => {
            if let [Piece::Command { text, bare: false }] = word.pieces.as_slice() {
                let found = shown_by_grep(hook, text)?;
                return Ok(if operator == "-n" { found } else { negated(&found) });
            }
            let value = hook.value(word, Use::Whole)?;
            if value.base == Base::Image {
                return Ok(if operator == "-n" { "true".into() } else { "false".into() });
            }
            if value.base == Base::Hook {
                return Err(Kept::new("a test of the hook's folder"));
            }
            if split
                && let Some(name) = unquoted(word)
                && !certain(hook, name)
            {
                return Err(Kept::new(format!("`{operator} ${name}` without quotes")));
            }
            let sign = if operator == "-n" { "!=" } else { "==" };
            Ok(format!("{} {sign} \"\"", wrapped(&value)))
        }
        "-e" | "-a" | "-f" | "-d" | "-h" | "-L" | "-x" => {
            let value = hook.value(word, if split { Use::Split } else { Use::Whole })?;
            if value.pattern {
                return Err(Kept::new("a test of a pattern of files"));
            }
            let path = hook.located(value, &word.source)?.code();
            let function = match operator {
                "-f" => "is_file",
                "-d" => "is_folder",
                "-h" | "-L" => "is_link",
                "-x" => "is_executable",
                _ => return Ok(format!("image.exists({path})")),
            };
            hook.import("files");
            Ok(format!("files::{function}(image, {path})"))
        }
        "-v" => match word.literal() {
            Some(name)
                if !hook.locals.contains_key(&name)
                    && hook.sees(&name)
                    && matches!(variable::known(&name, hook.phase), variable::Known::Environment) =>
            {
                hook.reads.insert(name.clone());
                Ok(format!("image.has_env({})", quoted(&name)))
            }
            _ => Err(Kept::new("a test whether a variable is set")),
        },
        _ => Err(Kept::new(format!("the test `{operator}`"))),
    }
}

/// `$(grep … file)` shows something.
fn shown_by_grep(hook: &mut Hook<'_>, text: &str) -> Result<String, Kept> {
    let refused = || Kept::new(format!("the output of a command (`$({})`)", shortened(text)));
    let script = reader::read(text).map_err(|_| refused())?;
    match script.statements.as_slice() {
        [Statement { node: Node::Command(command), .. }] if command.literal(0).as_deref() == Some("grep") => {
            let quiet = command.words.iter().any(|word| word.source.contains('q') && word.source.starts_with('-'));
            if quiet { Err(refused()) } else { idioms::grep::condition(hook, command) }
        }
        _ => Err(refused()),
    }
}

/// The variable is never empty nor several words.
fn certain(hook: &Hook<'_>, name: &str) -> bool {
    match hook.locals.get(name) {
        Some(_) => hook.single.contains(name),
        None => !matches!(variable::known(name, hook.phase), variable::Known::Environment) || variable::is_single(name),
    }
}

fn binary(hook: &mut Hook<'_>, operator: &str, a: &Word, b: &Word, split: bool) -> Result<String, Kept> {
    if split && ["=", "==", "!="].contains(&operator) {
        for word in [a, b] {
            if let Some(name) = unquoted(word)
                && (operator == "!=" || name == "(…)")
                && !certain(hook, name)
            {
                return Err(Kept::new(format!("`{operator}` with `${name}` without quotes")));
            }
        }
    }
    let left = hook.value(a, Use::Whole)?;
    if left.base != Base::Plain {
        return Err(Kept::new("a comparison with a folder"));
    }
    match operator {
        "=" | "==" | "!=" => {
            let equal = if split {
                let right = hook.value(b, Use::Whole)?;
                if right.base != Base::Plain {
                    return Err(Kept::new("a comparison with a folder"));
                }
                format!("{} == {}", wrapped(&left), wrapped(&right))
            } else {
                matches(hook, &wrapped(&left), b)?
            };
            Ok(if operator == "!=" { negated(&equal) } else { equal })
        }
        "=~" => pattern::regex(hook, &wrapped(&left), b),
        "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => {
            let sign = match operator {
                "-eq" => "==",
                "-ne" => "!=",
                "-lt" => "<",
                "-le" => "<=",
                "-gt" => ">",
                _ => ">=",
            };
            let right = hook.value(b, Use::Whole)?;
            let (left, right) = (number(hook, &left), number(hook, &right));
            Ok(format!("{left} {sign} {right}"))
        }
        _ => Err(Kept::new(format!("the comparison `{operator}`"))),
    }
}

fn number(hook: &mut Hook<'_>, value: &Value) -> String {
    if let Some(number) = value.literal().and_then(|text| text.parse::<i64>().ok()) {
        return number.to_string();
    }
    hook.import("variables");
    format!("variables::number({})", value.code())
}

fn wrapped(value: &Value) -> String {
    if value.parts.len() > 1 { format!("({})", value.code()) } else { value.code() }
}

/// `code` matches the shell pattern `word`, as in `case` and `[[ a == b ]]`.
///
/// # Errors
/// The pattern has more than `*` at its ends.
pub fn matches(hook: &mut Hook<'_>, code: &str, word: &Word) -> Result<String, Kept> {
    if !word.has_pattern() {
        let value = hook.value(word, Use::Whole)?;
        if value.base != Base::Plain {
            return Err(Kept::new("a comparison with a folder"));
        }
        return Ok(format!("{code} == {}", wrapped(&value)));
    }
    pattern::glob(hook, code, word)
}
