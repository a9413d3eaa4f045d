//! Numbers and colours as a person reads them.

use std::time::Duration;

use crate::event::Unit;

/// `0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{} s", tenths % 10),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `17 B`, `1.5 KiB`, `317.8 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut amount = number as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// `1.2 GiB of 2.7 GiB (44 %)`, `17 of 240 (7 %)`, `17` when the total is unknown.
pub fn amount(done: u64, total: u64, unit: Unit) -> String {
    let show = |number| match unit {
        Unit::Bytes => bytes(number),
        Unit::Items => format!("{number}"),
    };
    match (u128::from(done) * 100).checked_div(u128::from(total)) {
        Some(percent) => format!("{} of {} ({percent} %)", show(done), show(total)),
        None => show(done),
    }
}

/// `[  12.3s]`: time since the start, as wide in a short build as in a long one.
pub fn stamp(elapsed: Duration) -> String {
    format!("[{:>7.1}s]", elapsed.as_secs_f64())
}

/// A kind of word.
#[derive(Clone, Copy)]
pub enum Paint {
    /// `error`.
    Error,
    /// `warning`.
    Warning,
    /// Success.
    Good,
    /// A heading.
    Bold,
}

/// `text`, in colour when `colour` is set.
pub fn paint(text: &str, paint: Paint, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Error => "1;31",
        Paint::Warning => "1;33",
        Paint::Good => "1;32",
        Paint::Bold => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// `line` without what would move a terminal's cursor or change its state: commands colour their output and redraw lines.
pub fn printable(line: &str) -> String {
    // A command that redraws a line ends each version with a carriage return; the last one counts.
    let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                if characters.next_if_eq(&'[').is_some() {
                    // A control sequence ends with a byte from @ to ~.
                    for parameter in characters.by_ref() {
                        if ('@'..='~').contains(&parameter) {
                            break;
                        }
                    }
                } else {
                    characters.next();
                }
            }
            '\t' => out.push(' '),
            _ if character.is_control() => {}
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_use_the_unit_that_fits() {
        let show = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(
            [0, 449, 59_949, 59_950, 125_000, 3_725_000].map(show),
            ["0.0 s", "0.4 s", "59.9 s", "1 min 00 s", "2 min 05 s", "1 h 02 min"]
        );
    }

    #[test]
    fn sizes_are_binary_and_never_1024_of_a_unit() {
        assert_eq!([17, 1536, 1_048_575, 333_192_192].map(bytes), ["17 B", "1.5 KiB", "1.0 MiB", "317.8 MiB"]);
    }

    #[test]
    fn an_unknown_total_is_not_shown() {
        assert_eq!(amount(17, 0, Unit::Items), "17");
        assert_eq!(amount(17, 240, Unit::Items), "17 of 240 (7 %)");
    }

    #[test]
    fn control_sequences_of_commands_do_not_reach_the_terminal() {
        assert_eq!(printable("\x1b[1;32mok\x1b[0m\tdone\x07"), "ok done");
        assert_eq!(printable("10 %\r20 %\r"), "20 %");
    }
}
