//! Who reads a hook.
//!
//! In: a hook's file. Out: a text for a person: `/bin/bash`, `a program`. Not here: running it.

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;

/// Bytes in which the kernel looks for the name of an interpreter.
const HEAD: u64 = 256;

/// Who reads `file`: what its first line names, `a program` for a binary, bash for a text without such a line.
///
/// # Errors
/// The file cannot be read.
pub fn of(file: &Utf8Path) -> io::Result<String> {
    let mut head = Vec::new();
    File::open(file)?.take(HEAD).read_to_end(&mut head)?;
    Ok(named(&head))
}

fn named(head: &[u8]) -> String {
    if head.starts_with(b"\x7fELF") {
        return "a program".to_owned();
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let name = text.strip_prefix("#!").map(str::trim).filter(|name| !name.is_empty());
    // As a shell does with what the kernel cannot run.
    name.map_or_else(|| "/bin/bash, since no line names another".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_first_line_names_it() {
        assert_eq!(named(b"#!/bin/bash\nset -eu\n"), "/bin/bash");
        assert_eq!(named(b"#! /usr/bin/env python3\n"), "/usr/bin/env python3");
        assert_eq!(named(b"echo hello\n"), "/bin/bash, since no line names another");
        assert_eq!(named(b"\x7fELF\x02"), "a program");
    }
}
