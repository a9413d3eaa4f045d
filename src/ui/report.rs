//! What is said when a build has ended.
//!
//! In: the history and the last event. Out: text.

use std::fmt::Write;
use std::time::Duration;

use super::Options;
use super::history::History;
use super::text::{Paint, bytes, duration, paint, printable};
use crate::event::Failure;

/// Steps from the store that are named; more are counted.
const NAMED_STEPS: usize = 5;

/// The report of a failure: what failed and where, why, what the user can do, and how to try again.
pub fn failure(failure: &Failure, history: &History, options: &Options) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    match &failure.diagnostic {
        Some(diagnostic) => {
            line(diagnostic.render(options.colour).trim_end().to_owned());
            line(String::new());
        }
        // A refusal that was rendered already bears its title.
        None if failure.message.starts_with("error[") || failure.message.starts_with("ERROR") => {
            line(failure.message.clone());
        }
        None => line(format!("{} {}", paint("error:", Paint::Error, options.colour), failure.message)),
    }
    for (name, value) in places(failure, history) {
        line(format!("  {name:<8} {value}"));
    }
    if !history.last_lines.is_empty() {
        line(String::new());
        line(paint("last output:", Paint::Bold, options.colour));
        for output in &history.last_lines {
            line(format!("  | {}", printable(output)));
        }
    }
    line(String::new());
    if let Some(help) = &failure.help {
        line(format!("{} {help}", paint("help:", Paint::Bold, options.colour)));
    }
    if let Some(log) = &options.log {
        line(format!("log:    {log}"));
    }
    if let Some(repeat) = &options.repeat {
        line(format!("repeat: {repeat}"));
    }
    out
}

/// The facts of a failure without the history, for the log.
pub fn failure_facts(failure: &Failure) -> String {
    let mut text = format!("failed: {}", failure.message);
    for (name, value) in places(failure, &History::default()) {
        let _ = write!(text, "\n{name}: {value}");
    }
    if let Some(diagnostic) = &failure.diagnostic {
        let _ = write!(text, "\n{}", diagnostic.render(false).trim_end());
    }
    if let Some(help) = &failure.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    let _ = write!(text, "\nexit status: {}", failure.exit_status);
    text
}

fn places(failure: &Failure, history: &History) -> Vec<(&'static str, String)> {
    let mut places = Vec::new();
    if let Some(element) = &failure.element {
        places.push(("element", element.clone()));
    }
    if let Some(step) = &failure.step {
        let title = history.title(step);
        places.push(("step", if title == step { step.clone() } else { format!("{step} ({title})") }));
    }
    if let Some(phase) = &failure.phase {
        places.push(("phase", phase.clone()));
    }
    places
}

/// The report of a success: the files, where the time went, what came from the store.
pub fn success(total: Duration, history: &History, options: &Options) -> String {
    let mut out = format!("{} in {}\n", paint("built", Paint::Good, options.colour), duration(total));
    for artifact in &history.artifacts {
        let _ = writeln!(out, "  {}  {}", artifact.path, bytes(artifact.size));
        for (name, hex) in &artifact.digests {
            let _ = writeln!(out, "    {name} {hex}");
        }
    }
    if !history.phases.is_empty() {
        let _ = writeln!(out, "{}", paint("time per phase:", Paint::Bold, options.colour));
        for (phase, milliseconds) in &history.phases {
            let _ = writeln!(out, "  {phase:<14} {:>12}", duration(Duration::from_millis(*milliseconds)));
        }
    }
    if !history.reused.is_empty() {
        let named = &history.reused[..history.reused.len().min(NAMED_STEPS)];
        let rest = history.reused.len() - named.len();
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let _ = writeln!(out, "from the store: {}{more}", named.join(", "));
    }
    out
}
