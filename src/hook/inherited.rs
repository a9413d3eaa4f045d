//! What a process inherits beside variables, folder and umask: limits of resources, and signals that it ignores.
//!
//! In: what a shell says of itself before and after it read `environment.d`. Out: the words by which another shell becomes the same
//! before it runs a hook. Under DIB hooks are children of the shell that read the files, so that `ulimit` and `trap ''` in
//! them count. Not here: reading the files (`environment`). Open files and niceness are not handed on.

use std::collections::BTreeMap;

/// A script for bash that tells what [`Inherited::between`] reads.
pub(super) const TELL: &str = "ulimit -Sa; ulimit -Ha; trap -p";

/// What differs from the shell that reads `environment.d`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Limits, soft and hard, under the letter of `ulimit`.
    limits: BTreeMap<char, (String, String)>,
    /// Signals.
    ignored: Vec<String>,
}

impl Inherited {
    /// What changed between two answers to [`TELL`].
    pub(super) fn between(before: &str, after: &str) -> Self {
        let (old, mut new) = (Self::read(before), Self::read(after));
        new.limits.retain(|letter, value| old.limits.get(letter) != Some(value));
        new.ignored.retain(|signal| !old.ignored.contains(signal));
        new
    }

    fn read(told: &str) -> Self {
        let mut inherited = Self::default();
        for line in told.lines() {
            if let Some(signal) = line.strip_prefix("trap -- '' ") {
                inherited.ignored.push(signal.to_owned());
            } else if let Some((letter, value)) = limit(line) {
                // The soft limits come first.
                let known = inherited.limits.entry(letter).or_insert_with(|| (value.to_owned(), value.to_owned()));
                value.clone_into(&mut known.1);
            }
        }
        inherited
    }

    /// Makes the shell that reads it so; empty when nothing differs.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        for signal in &self.ignored {
            words += &format!("trap '' {signal}\n");
        }
        for (letter, (soft, hard)) in &self.limits {
            // A hard limit does not go below the soft one, nor a soft one above the hard one: the soft one is set on the side of
            // the hard one where it can be.
            words += &format!(
                "ulimit -S -{letter} {soft} 2>/dev/null\nulimit -H -{letter} {hard} && ulimit -S -{letter} {soft} || exit\n"
            );
        }
        words
    }
}

/// `open files                          (-n) 1024`: letter and value.
fn limit(line: &str) -> Option<(char, &str)> {
    let (what, value) = line.rsplit_once(") ")?;
    let (_, letter) = what.rsplit_once('-')?;
    let mut letters = letter.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    let plain = |character: char| character.is_ascii_alphanumeric();
    (letters.next().is_none() && !value.is_empty() && value.chars().all(plain)).then_some((letter, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOFT: &str = "core file size              (blocks, -c) 0\nopen files                          (-n) 1024\n";
    const HARD: &str =
        "core file size              (blocks, -c) unlimited\nopen files                          (-n) 4096\n";

    #[test]
    fn what_did_not_change_is_not_said() {
        let told = format!("{SOFT}{HARD}trap -- '' SIGHUP\ntrap -- 'rm -f x' EXIT\n");
        assert_eq!(Inherited::between(&told, &told), Inherited::default());
        assert_eq!(Inherited::default().words(), "");
    }

    #[test]
    fn limits_and_ignored_signals_that_changed_are_set_again() {
        let before = format!("{SOFT}{HARD}");
        let after = format!("{}{HARD}trap -- '' SIGPIPE\ntrap -- 'rm -f x' EXIT\n", SOFT.replace("1024", "512"));
        let expected = "trap '' SIGPIPE\nulimit -S -n 512 2>/dev/null\nulimit -H -n 4096 && ulimit -S -n 512 || exit\n";
        assert_eq!(Inherited::between(&before, &after).words(), expected);
    }

    #[test]
    fn what_is_no_limit_is_passed_over() {
        for line in ["", "printed (-n) $(rm -rf /)", "ulimit: cannot get limit", "x (-nn) 5", "(blocks, -c) "] {
            assert_eq!(limit(line), None, "{line}");
        }
    }
}
