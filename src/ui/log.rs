//! The log file: every event, whatever the screen shows.
//!
//! In: events. Out: one line each, with the time since the start. Not here: where the file lies.

use std::io::{self, Write};
use std::time::Duration;

use super::text::{amount, duration, printable, stamp};
use crate::event::{Event, Level};

/// Writes `event` to `writer` as a line (a failure as several).
pub fn log(writer: &mut dyn Write, elapsed: Duration, event: &Event) -> io::Result<()> {
    let stamp = stamp(elapsed);
    for line in text(event).lines() {
        writeln!(writer, "{stamp} {line}")?;
    }
    Ok(())
}

fn text(event: &Event) -> String {
    let time = |milliseconds: &u64| duration(Duration::from_millis(*milliseconds));
    match event {
        Event::PhaseStarted { phase, steps } => format!("phase {phase} begins, steps: {steps}"),
        Event::PhaseFinished { phase, milliseconds } => format!("phase {phase} done in {}", time(milliseconds)),
        Event::StepStarted { id, title } => format!("step {id} begins: {title}"),
        Event::StepFinished { id, milliseconds, reused } => {
            format!("step {id} done in {}{}", time(milliseconds), if *reused { ", from the store" } else { "" })
        }
        Event::Progress { what, done, total, unit } => format!("progress {what}: {}", amount(*done, *total, *unit)),
        Event::Output { line } => format!("| {}", printable(line)),
        Event::Message { level, text } => {
            let level = match level {
                Level::Debug => "debug",
                Level::Info => "info",
                Level::Warning => "warning",
            };
            format!("{level}: {text}")
        }
        Event::Artifact(artifact) => {
            let digests: String = artifact.digests.iter().map(|(name, hex)| format!(", {name} {hex}")).collect();
            format!("artifact {} ({}), {} bytes{digests}", artifact.path, artifact.format, artifact.size)
        }
        Event::Failed(failure) => super::report::failure_facts(failure),
        Event::Finished { milliseconds } => format!("finished in {}", time(milliseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_line_is_written_with_its_time_and_without_colours() {
        let mut out = Vec::new();
        log(&mut out, Duration::from_millis(12_340), &Event::Output { line: "\x1b[1mSetting up vim".into() }).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[   12.3s] | Setting up vim\n");
    }
}
