//! Everything that is said and printed, line by line: what diskimage-builder's users and their programs read.
//!
//! In: events. Out: lines without their stamps, and the stamp: date and time in UTC. Not here: where lines go.

use std::time::Duration;

use super::history::History;
use super::lines::Lines;
use super::report;
use super::text::{duration, printable};
use super::{Options, Verbosity};
use crate::event::{Event, Level};

/// The lines for `event`; `history` knows it already.
pub fn lines(event: &Event, state: &mut Lines, history: &History, elapsed: Duration, options: &Options) -> Vec<String> {
    match event {
        Event::Output { line } if is_trace_switch(line) => Vec::new(),
        Event::Output { line } => vec![printable(line)],
        Event::Message { level: Level::Warning, text } => split(&format!("WARNING: {text}")),
        Event::Message { level: Level::Debug, .. } if options.verbosity < Verbosity::Verbose => Vec::new(),
        Event::Message { text, .. } => split(text),
        Event::Failed(failure) => {
            // What commands printed stands above already.
            let mut history = history.clone();
            history.last_lines.clear();
            let mut lines = split(&report::failure(failure, &history, options));
            lines.retain(|line| !line.is_empty());
            if failure.exit_status > 1 {
                lines.push(format!("exit status {}", failure.exit_status));
            }
            lines
        }
        Event::Finished { milliseconds } => {
            let mut lines: Vec<String> =
                history.artifacts.iter().map(|artifact| format!("Image file {} created...", artifact.path)).collect();
            lines.push(format!("built in {}", duration(Duration::from_millis(*milliseconds))));
            lines.push("Build completed successfully".to_owned());
            lines
        }
        // The log of a quiet build has what the screen of a talkative one shows.
        _ => {
            let said = Options { verbosity: options.verbosity.max(Verbosity::Normal), ..options.clone() };
            state.text(event, history, elapsed, &said).into_iter().collect()
        }
    }
}

/// Whether the screen shows `event`: a quiet one has failures only.
pub fn is_shown(event: &Event, verbosity: Verbosity) -> bool {
    verbosity > Verbosity::Quiet || matches!(event, Event::Failed(_))
}

/// The time now, as it stands before each line.
pub fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
}

/// Whether `line` is a shell's trace of switching its trace off: every hook does that, and nobody wants to read it. What a
/// hook prints itself is never taken away, whatever words are in it.
fn is_trace_switch(line: &str) -> bool {
    line.starts_with('+') && (line.contains("set +o") || line.contains("xtrace"))
}

fn split(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_date_time_and_milliseconds() {
        let pattern = regex::Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$").unwrap();
        assert!(pattern.is_match(&stamp()), "{}", stamp());
    }

    #[test]
    fn only_a_shells_own_trace_is_taken_away() {
        assert!(is_trace_switch("+ /x/10-a:main:3                :   set +o xtrace"));
        assert!(is_trace_switch("++ set -o xtrace"));
        assert!(!is_trace_switch("use set +o pipefail to see it"));
        assert!(!is_trace_switch("+ install vim"));
    }
}
