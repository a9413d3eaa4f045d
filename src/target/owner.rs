//! Numbers of users and groups, by the image's own `/etc/passwd` and `/etc/group`.
//!
//! In: a name or a number, and the text of the file. Out: the number. Not here: reading the file.
//! Format: passwd(5) and group(5); both have the name first and the number third.

use super::TargetError;

/// The number of `name` in a file in the manner of `/etc/passwd`; a name of digits is the number itself.
///
/// # Errors
/// `usage.owner` when the file does not know the name.
pub fn number(name: &str, file: &str, text: &str) -> Result<u32, TargetError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let known = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)).flatten()?.parse().ok()
    });
    match known {
        Some(number) => Ok(number),
        // Trees exist before their /etc/passwd does.
        None if name == "root" => Ok(0),
        None => Err(TargetError::new("usage.owner", format!("`{name}` is not in the image's {file}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_number_is_itself() {
        let text = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n";
        assert_eq!(number("www-data", "/etc/passwd", text).unwrap(), 33);
        assert_eq!(number("1000", "/etc/passwd", text).unwrap(), 1000);
        assert_eq!(number("root", "/etc/passwd", "").unwrap(), 0);
        assert_eq!(number("nobody", "/etc/passwd", text).unwrap_err().code, "usage.owner");
    }
}
