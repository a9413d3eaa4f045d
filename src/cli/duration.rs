//! Times as a person types them on the command line.

/// Seconds for which what a step fetched from a network is good enough: a failed build goes on where it stopped, the next day's
/// build asks again.
pub const MAX_AGE: u64 = 6 * 60 * 60;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];

/// Reads a duration: numbers with the units `s`, `m`, `h`, `d` (`90s`, `1h30m`), or a bare number of seconds. Seconds.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration; write a number and a unit: 90s, 30m, 6h, 2d");
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<u64>() {
        return Ok(seconds);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..end].parse().map_err(|_| wrong())?;
        let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| rest[end..].starts_with(unit)).ok_or_else(wrong)?;
        total = number.checked_mul(seconds).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[end + unit.len()..];
    }
    if text.trim().is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_with_units_are_added_up() {
        assert_eq!(parse("90s"), Ok(90));
        assert_eq!(parse("1h30m"), Ok(5400));
        assert_eq!(parse("2d"), Ok(172_800));
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("6h"), Ok(super::MAX_AGE));
        assert_eq!(parse("3600"), Ok(3600));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "h", "1x", "6 h", "-1h", "1.5h", "99999999999999999999d", "999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
