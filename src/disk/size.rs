//! Sizes as block-device descriptions spell them.
//!
//! In: `550MiB`, `40G`, `100%`. Out: a [`Size`]. DIB's rules: units are case-sensitive, `MiB` is binary and
//! `M` and `MB` are decimal, no number means 1, fractions are truncated to whole bytes. Not here: `--image-size`, which is
//! the command line's.

use serde::{Deserialize, Serialize};

/// A size as written: absolute, or a share of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Bytes.
    Bytes(u64),
    /// Per cent of the space that remains at that moment.
    Percent(f64),
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SizeError {
    /// Not a number followed by a unit.
    #[error("`{text}` is not a size; write a number and a unit, as in `550MiB`, `40G` or `100%`")]
    Form {
        /// What was written.
        text: String,
    },
    /// A share where only bytes will do.
    #[error("`{text}` is a share, and here a size of its own is needed: a number and a unit, as in `550MiB` or `40G`")]
    NoShare {
        /// What was written.
        text: String,
    },
    /// The unit is unknown.
    #[error(
        "`{unit}` in `{text}` is not a unit; units are B, KiB, MiB, GiB, TiB (powers of 1024) and K, M, G, T, KB, MB, GB, TB (powers of 1000)"
    )]
    Unit {
        /// What was written.
        text: String,
        /// The part that should be a unit.
        unit: String,
    },
    /// A share outside 0 to 100 %.
    #[error("`{text}` is not a share; write more than 0% and at most 100%")]
    Share {
        /// What was written.
        text: String,
    },
    /// More than 2^63 bytes.
    #[error("`{text}` is larger than any disk")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

/// The units and their bytes.
const UNITS: [(&str, u64); 14] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("K", 1_000),
    ("B", 1),
    ("", 1),
];

impl Size {
    /// Reads a size.
    ///
    /// # Errors
    /// When `text` does not follow the rules above.
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        if let Some(number) = text.strip_suffix('%') {
            let form = || SizeError::Form { text: text.into() };
            let share: f64 = plain_number(number).and_then(|number| number.parse().ok()).ok_or_else(form)?;
            if share <= 0.0 || share > 100.0 {
                return Err(SizeError::Share { text: text.into() });
            }
            return Ok(Self::Percent(share));
        }
        absolute(text).map(Self::Bytes)
    }

    /// The bytes this is when `free` bytes remain.
    pub fn of(self, free: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // Floating point, as DIB: 33% of the same disk must be the same sector in both.
            Self::Percent(share) => (free as f64 * share / 100.0) as u64,
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => f.write_str(&human(*bytes)),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

/// Reads an absolute size in bytes.
///
/// # Errors
/// When `text` does not follow the rules above.
pub fn absolute(text: &str) -> Result<u64, SizeError> {
    if text.ends_with('%') {
        return Err(SizeError::NoShare { text: text.into() });
    }
    let form = || SizeError::Form { text: text.into() };
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(split);
    let unit = rest.strip_prefix(' ').unwrap_or(rest);
    if !unit.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || text.is_empty() {
        return Err(form());
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(SizeError::Unit { text: text.into(), unit: unit.into() });
    };
    let number: f64 = match number {
        "" => 1.0,
        _ => plain_number(number).and_then(|number| number.parse().ok()).ok_or_else(form)?,
    };
    let bytes = number * *factor as f64;
    if bytes >= i64::MAX as f64 {
        return Err(SizeError::TooLarge { text: text.into() });
    }
    Ok(bytes as u64)
}

/// Bytes for a person: the largest binary unit that divides them, else one with a decimal.
pub fn human(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor {
            return if bytes.is_multiple_of(factor) {
                format!("{} {unit}", bytes / factor)
            } else {
                format!("{:.1} {unit}", bytes as f64 / factor as f64)
            };
        }
    }
    format!("{bytes} bytes")
}

/// Bytes for a person, exactly: the largest binary unit of which they are a whole number.
pub fn exact(bytes: u64) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let whole = units.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    whole.map_or_else(|| format!("{bytes} B"), |(unit, factor)| format!("{} {unit}", bytes / factor))
}

fn plain_number(text: &str) -> Option<&str> {
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary_with_an_i_and_decimal_without() {
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("550MiB", 550 << 20),
            ("40G", 40_000_000_000),
            ("40 GB", 40_000_000_000),
            ("G", 1_000_000_000),
            ("1024", 1024),
            ("1.5KiB", 1536),
            ("1.9B", 1),
            ("8K", 8000),
        ] {
            assert_eq!(absolute(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn exact_sizes_are_whole_numbers_of_their_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1536, "1536 B"),
            (8 << 20, "8 MiB"),
            (38146 << 20, "38146 MiB"),
            (3 << 40, "3 TiB"),
        ] {
            assert_eq!(exact(bytes), text);
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in
            ["", "-1", "1 MiB ", "1  MiB", "1e3", "1.2.3", "1mib", "1 Mib", "%", "0%", "101%", "x%", "9999999TiB"]
        {
            assert!(Size::parse(text).is_err(), "{text} passed");
        }
    }

    #[test]
    fn a_share_is_truncated_to_bytes() {
        assert_eq!(Size::parse("33%").unwrap().of(1001), 330);
        assert_eq!(Size::parse("100%").unwrap().of(u64::from(u32::MAX)), u64::from(u32::MAX));
    }
}
