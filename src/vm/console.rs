//! The guest's serial console as text.
//!
//! In: bytes as they come, cut anywhere. Out: the same without terminal sequences, and whether a pattern has appeared.

use regex::bytes::Regex;

/// How much of the console a pattern can see, bytes.
const KEPT: usize = 16 * 1024;

/// How much of it a pattern can see at each blank of a piece, bytes: a prompt with some lines before it.
const RECENT: usize = 512;

/// How much of a line an error shows, characters. A menu draws a whole screen without a line end.
const LINE: usize = 120;

/// Reads a console.
#[derive(Clone, Debug, Default)]
pub struct Console {
    state: State,
    text: Vec<u8>,
    /// How much of the text the last piece brought, bytes.
    fresh: usize,
}

/// Where in a terminal sequence (ECMA-48, 5.3 and 5.4) the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// After `ESC [`.
    Control,
    /// After `ESC ]` and its like: text for the terminal, up to BEL or `ESC \`.
    Command,
    CommandEscape,
    /// After `ESC (` and its like: one more byte.
    One,
}

impl Console {
    /// Takes the next bytes and returns them as plain text.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let plain: Vec<u8> = bytes.iter().copied().filter(|byte| self.is_text(*byte)).collect();
        self.text.extend_from_slice(&plain);
        self.fresh = plain.len();
        if self.text.len() > 2 * KEPT {
            self.text.drain(..self.text.len() - KEPT);
        }
        plain
    }

    /// Whether the recent text, the unfinished line included, matches, or did so at a blank of the last piece: a prompt, which ends
    /// with one, is the end of its line only until the kernel or a service writes behind it.
    pub fn shows(&self, pattern: &Regex) -> bool {
        let fresh = self.text.len().saturating_sub(self.fresh);
        let showed = |end: usize| pattern.is_match_at(&self.text[..end], end.saturating_sub(RECENT));
        let mut blanks = (fresh..self.text.len()).filter(|at| self.text[*at] == b' ').map(|at| at + 1);
        pattern.is_match(&self.text) || blanks.any(showed)
    }

    /// Whether the recent text holds `words`.
    pub fn holds(&self, words: &str) -> bool {
        self.text.windows(words.len()).any(|window| window == words.as_bytes())
    }

    /// The end of the last line that is not empty, without runs of blanks.
    pub fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let before = words.chars().count().saturating_sub(LINE);
        words.chars().skip(before).collect()
    }

    fn is_text(&mut self, byte: u8) -> bool {
        let before = self.state;
        self.state = match (before, byte) {
            (State::Text | State::Escape | State::Control | State::One, 0x1b) => State::Escape,
            (State::Escape, b'[') => State::Control,
            (State::Escape, b']' | b'P' | b'_' | b'^' | b'X') => State::Command,
            (State::Escape, 0x20..=0x2f) => State::One,
            (State::Control, 0x20..=0x3f) => State::Control,
            (State::Command, 0x1b) => State::CommandEscape,
            (State::Command, 0x07) => State::Text,
            (State::Command, _) => State::Command,
            (State::CommandEscape, b'\\') => State::Text,
            (State::CommandEscape, _) => State::Command,
            _ => State::Text,
        };
        before == State::Text && (byte == b'\n' || byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(bytes: &[u8]) -> String {
        String::from_utf8(Console::default().feed(bytes)).unwrap()
    }

    #[test]
    fn terminal_sequences_are_no_text() {
        assert_eq!(plain(b"\x1b[H\x1b[J\x1b[1;1H\x1b[?25la\x1b[0;32m  OK  \x1b[0mb\r\n"), "a  OK  b\n");
        assert_eq!(plain(b"\x1b]0;title\x07x\x1b]8;;u\x1b\\y\x1b(Bz\x1b7w\x1bcv"), "xyzwv");
    }

    #[test]
    fn a_prompt_without_a_line_end_is_seen() {
        let login = Regex::new("(?m)login: $").unwrap();
        let mut console = Console::default();
        console.feed(b"\r\nDebian GNU/Linux 12 debian ttyS0\r\n\r\ndebian log");
        assert!(!console.shows(&login));
        console.feed(b"in:\x1b[0m");
        assert!(!console.shows(&login));
        console.feed(b" ");
        assert!(console.shows(&login));
        assert_eq!(console.last_line(), "debian login:");
    }

    #[test]
    fn a_prompt_is_seen_though_the_same_piece_goes_on_behind_it() {
        let (login, line) = (Regex::new("(?m)login: $").unwrap(), Regex::new("(?m)^debian login: $").unwrap());
        let mut console = Console::default();
        console.feed("a line of a service\n".repeat(100).as_bytes());
        console.feed(b"\n\ndebian login: [   61.204811] audit: type=1400\r\n[   61.3] more\r\n");
        assert!(console.shows(&login) && console.shows(&line));
        console.feed(b"more\n");
        assert!(!console.shows(&login));
    }

    #[test]
    fn a_line_that_goes_on_is_not_its_beginning() {
        let mut console = Console::default();
        console.feed(b"tests passed: 10 of 12\n");
        assert!(!console.shows(&Regex::new("(?m)^tests passed: 1$").unwrap()));
    }

    #[test]
    fn a_line_that_is_cut_at_its_front_has_no_beginning() {
        let mut console = Console::default();
        console.feed(format!("{}\nlogin: x", "login: ".repeat(200)).as_bytes());
        assert!(!console.shows(&Regex::new("(?m)^ogin: ").unwrap()));
        assert!(console.shows(&Regex::new("(?m)^login: $").unwrap()));
    }

    #[test]
    fn a_pattern_may_span_lines() {
        let mut console = Console::default();
        console.feed(b"one\r\ntwo");
        assert!(console.shows(&Regex::new("one\ntwo").unwrap()));
    }

    #[test]
    fn old_text_is_forgotten() {
        let mut console = Console::default();
        console.feed(b"early\n");
        for _ in 0..5000 {
            console.feed(b"0123456789\n");
        }
        assert!(!console.holds("early"));
        assert!(console.text.len() <= 2 * KEPT);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut console = Console::default();
            let mut cut = console.feed(first);
            cut.extend(console.feed(second));
            prop_assert_eq!(cut, Console::default().feed(&bytes));
        }

        #[test]
        fn a_prompt_that_is_seen_byte_by_byte_is_seen_in_one_piece(
            text in "[ab \n]{0,40}", pattern in "\\^?[ab ]{0,3} \\$?"
        ) {
            let pattern = Regex::new(&format!("(?m){pattern}")).unwrap();
            let mut console = Console::default();
            let seen = text.bytes().any(|byte| { console.feed(&[byte]); console.shows(&pattern) });
            let mut console = Console::default();
            console.feed(text.as_bytes());
            prop_assert_eq!(console.shows(&pattern), seen);
        }
    }
}
