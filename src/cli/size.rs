//! Sizes as a person types them on the command line.

use std::collections::BTreeMap;

/// Reads a size: a bare number means GiB, as in DIB; otherwise a unit follows (`512MiB`, `10G`, `10GiB`). Bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let bytes = match text.parse::<f64>() {
        Ok(number) => {
            if !(number.is_finite() && number > 0.0) {
                return Err("a size is more than 0".to_owned());
            }
            number * f64::from(1 << 30)
        }
        Err(_) => {
            let bytes = crate::disk::size::absolute(text).map_err(|error| error.to_string())?;
            return if bytes == 0 { Err("a size is more than 0".to_owned()) } else { Ok(bytes) };
        }
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and disks are below 2^53 bytes"
    )]
    Ok(bytes as u64)
}

/// The size that `DIB_IMAGE_SIZE` asks for, bytes.
pub fn variable(variables: &BTreeMap<String, String>) -> Result<Option<u64>, String> {
    let read = |text: &String| parse(text).map_err(|error| format!("DIB_IMAGE_SIZE is no size: {error}"));
    variables.get("DIB_IMAGE_SIZE").filter(|text| !text.is_empty()).map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_bare_number_means_gib_as_in_dib() {
        assert_eq!(parse("0.5"), Ok(536_870_912));
        assert_eq!(parse("5"), Ok(5 << 30));
    }

    #[test]
    fn a_unit_is_taken_at_its_word() {
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("10G"), Ok(10_000_000_000));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "-1", "0", "much", "5 XB", "inf", "nan"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
