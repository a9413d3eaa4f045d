//! The comments of a script.
//!
//! In: a script and the lines of its here-documents. Out: comments with the number of their line. A comment behind a command
//! counts too.

use std::ops::Range;

/// Comments, each with the number of its line from 1; `documents` are lines that hold data.
pub fn find(text: &str, documents: &[Range<usize>]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // A quote may go on over lines.
    let mut quote = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if documents.iter().any(|range| range.contains(&number)) {
            continue;
        }
        if let Some(at) = start(line, &mut quote)
            && !(number == 1 && line.starts_with("#!"))
        {
            found.push((number, line[at..].trim_end().to_owned()));
        }
    }
    found
}

/// Where the comment of `line` begins; `quote` is the quote that the line begins in, and afterwards the one it ends in.
fn start(line: &str, quote: &mut Option<char>) -> Option<usize> {
    let mut before = ' ';
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (*quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => *quote = None,
            (None | Some('"'), '\\') => {
                letters.next();
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => *quote = Some(letter),
            (None, '#') if before.is_whitespace() || before == ';' => return Some(at),
            (None, _) => {}
        }
        before = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn comments_are_found_where_the_shell_finds_them() {
        let text = "#!/bin/bash\n# one\na b # two\necho \"# no\" '# no' x#no ${X#no} \\# no\ncat <<E\n# data\nE\na='\n# no\n'\n  #three\n";
        let documents = vec![std::ops::Range { start: 6, end: 7 }];
        let found = super::find(text, &documents);
        let expected = [(2, "# one"), (3, "# two"), (11, "#three")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
