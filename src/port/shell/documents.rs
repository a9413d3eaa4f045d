//! What brush-parser 0.4 misreads: behind the beginning of a here-document it takes `${NAME}` apart.
//!
//! In: a script. Out: the same script, line for line, which that parser reads as a shell does. Not here: what a here-document says.

/// The script with `$NAME` for `${NAME}` between `<<WORD` and the end of its line.
///
/// # Errors
/// There is an expansion in such a place that cannot be spelled otherwise.
pub fn respelled(text: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut ends: Vec<(String, bool)> = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some((end, tabs)) = ends.first() {
            let plain = line.trim_end_matches(['\n', '\r']);
            if *end == if *tabs { plain.trim_start_matches('\t') } else { plain } {
                ends.remove(0);
            }
            result.push_str(line);
            continue;
        }
        let Some((begins, found)) = documents(line) else {
            result.push_str(line);
            continue;
        };
        ends = found;
        let (before, behind) = line.split_at(begins);
        result.push_str(before);
        let what = || format!("line {} has an expansion behind the beginning of a here-document", index + 1);
        result.push_str(&plain(behind).ok_or_else(what)?);
    }
    Ok(result)
}

/// Where the first here-document of a line has its word, and the words of all of them, with `true` for `<<-`.
fn documents(line: &str) -> Option<(usize, Vec<(String, bool)>)> {
    let mut found = Vec::new();
    let mut begins = None;
    let mut quote = None;
    let mut before = ' ';
    let mut at = 0;
    while let Some(letter) = line[at..].chars().next() {
        let rest = &line[at..];
        match (quote, letter) {
            (Some(end), _) if end == letter => quote = None,
            (None | Some('"'), '\\') => at += 1,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '#') if before.is_whitespace() => break,
            (None, '<') if rest.starts_with("<<<") => at += 2,
            (None, '<') if rest.starts_with("<<") => {
                let word = rest[2..].trim_start_matches('-').trim_start_matches([' ', '\t']);
                let tabs = rest[2..].starts_with('-');
                let length = word.find(|letter: char| letter.is_whitespace() || ";|&<>)".contains(letter));
                let word = &word[..length.unwrap_or(word.len())];
                // `1 << 2` is arithmetic.
                if word.starts_with(|letter: char| !letter.is_ascii_digit()) {
                    found.push((word.replace(['\'', '"', '\\'], ""), tabs));
                    begins = begins.or(Some(at));
                }
                at += 1;
            }
            (None, _) => {}
        }
        before = letter;
        at += line[at..].chars().next().map_or(1, char::len_utf8);
    }
    begins.map(|begins| (begins, found))
}

/// `$NAME` for `${NAME}`.
fn plain(behind: &str) -> Option<String> {
    let mut result = String::new();
    let mut rest = behind;
    while let Some(at) = rest.find(['$', '`']) {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("$(") || rest.starts_with('`') {
            return None;
        }
        let Some(inside) = rest.strip_prefix("${") else {
            result.push('$');
            rest = &rest[1..];
            continue;
        };
        let (name, after) = inside.split_once('}')?;
        let in_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        // In single quotes it is no expansion at all.
        if name.is_empty() || !name.chars().all(in_name) || after.starts_with(in_name) || behind.contains('\'') {
            return None;
        }
        result.push_str(&format!("${name}"));
        rest = after;
    }
    result.push_str(rest);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::respelled;

    #[test]
    fn variables_behind_the_beginning_of_a_here_document_lose_their_braces() {
        let text = "cat << EOF | tee ${A}/b \"x/${B}\"\n${C}\nEOF\necho ${D} # <<E ${E}\n";
        let expected = "cat << EOF | tee $A/b \"x/$B\"\n${C}\nEOF\necho ${D} # <<E ${E}\n";
        assert_eq!(respelled(text).as_deref(), Ok(expected));
        for same in ["cat > ${A} <<-'E'\n\t${B} <<X ${C}\n\tE\n", "cat <<< ${A}\n", "echo '<<E' ${A}\n", "echo \\<<E\n"]
        {
            assert_eq!(respelled(same).as_deref(), Ok(same), "{same}");
        }
    }

    #[test]
    fn other_expansions_there_are_refused() {
        for text in ["cat <<E > ${A:-x}\nE\n", "cat <<E > $(a)\nE\n", "cat <<E > ${A}b\nE\n", "cat <<E > `a`\nE\n"] {
            assert!(respelled(text).is_err(), "{text}");
        }
        assert!(respelled("cat <<E > ${A:-x}\nE\n").unwrap_err().starts_with("line 1 "));
    }
}
