//! Paragraphs of `Field: value` lines, as in package lists, control files and deb822 sources (deb-control(5)).
//!
//! In: text. Out: fields, borrowed. Not here: what the fields mean.

/// The paragraphs of `text`, split at empty lines.
pub fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(|part| part.trim_matches('\n')).filter(|part| !part.is_empty())
}

/// The fields of one paragraph: (name, value with its continuation lines, which keep their leading space).
pub fn fields(paragraph: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = paragraph;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = rest.find('\n').unwrap_or(rest.len());
            while rest[end..].starts_with("\n ") || rest[end..].starts_with("\n\t") {
                end = rest[end + 1..].find('\n').map_or(rest.len(), |more| end + 1 + more);
            }
            let field = &rest[..end];
            rest = rest[end..].trim_start_matches('\n');
            if field.starts_with('#') {
                // A comment ends with its own line, whatever is indented after it.
                continue;
            }
            if let Some((name, value)) = field.split_once(':') {
                return Some((name, value.trim()));
            }
        }
    })
}

/// The value of the field `name`, whose case does not matter.
pub fn field<'a>(paragraph: &'a str, name: &str) -> Option<&'a str> {
    fields(paragraph).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_lines_belong_to_their_field_and_comments_to_nobody() {
        let text = "# head\nPackage: a\nDescription: short\n long\n .\n more\nTypes: deb\n";
        let all: Vec<_> = fields(text).collect();
        assert_eq!(all, [("Package", "a"), ("Description", "short\n long\n .\n more"), ("Types", "deb")]);
        assert_eq!(field(text, "types"), Some("deb"));
        assert_eq!(field(text, "ong"), None);
    }
}
