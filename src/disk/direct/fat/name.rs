//! Long names and the short ones beside them.

use std::collections::HashSet;

/// Characters a long name may not have.
const FORBIDDEN: &str = "\"*/:<>?\\|";
/// Further characters a short name may not have.
const LONG_ONLY: &str = " +,.;=[]";

/// A name's two forms.
pub(super) struct Name {
    pub short: [u8; 11],
    /// UTF-16; empty when the short name says it all.
    pub long: Vec<u16>,
}

/// Gives every one of a folder's names a short form of its own. `Err` is the name that FAT cannot hold.
pub(super) fn names<'a>(names: &[&'a str]) -> Result<Vec<Name>, &'a str> {
    let mut taken: HashSet<[u8; 11]> = HashSet::new();
    // Names that are short already keep their form; only then the others look for a free one.
    let fitting: Vec<_> = names.iter().map(|name| fits(name)).collect();
    taken.extend(fitting.iter().flatten());
    let mut result = Vec::new();
    for (name, fitting) in names.iter().zip(fitting) {
        let long: Vec<u16> = name.encode_utf16().collect();
        let bad = |c: char| c.is_control() || FORBIDDEN.contains(c);
        if name.chars().any(bad) || name.ends_with(['.', ' ']) || long.len() > 255 {
            return Err(name);
        }
        result.push(match fitting {
            Some(short) if written(&short) == **name => Name { short, long: Vec::new() },
            Some(short) => Name { short, long },
            None => Name { short: numbered(name, &mut taken), long },
        });
    }
    Ok(result)
}

/// The short form of a name that differs from it in case only.
fn fits(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let good = |c: char| c.is_ascii_graphic() && !FORBIDDEN.contains(c) && !LONG_ONLY.contains(c);
    let sizes = (1..=8).contains(&base.len()) && extension.len() <= 3 && !name.ends_with('.');
    (sizes && base.chars().chain(extension.chars()).all(good)).then(|| padded(base, extension))
}

/// `LONGNA~1.TXT`, with the first free number.
fn numbered(name: &str, taken: &mut HashSet<[u8; 11]>) -> [u8; 11] {
    let name = name.trim_start_matches(['.', ' ']);
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |text: &str| -> String {
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '.'));
        kept.map(|c| if c.is_ascii_graphic() && !LONG_ONLY.contains(c) { c } else { '_' }).collect()
    };
    let (base, extension) = (clean(base), clean(extension));
    let mut number = 1u64;
    loop {
        let tail = format!("~{number}");
        let head = &base[..base.len().min(8usize.saturating_sub(tail.len()))];
        let short = padded(&format!("{head}{tail}"), &extension[..extension.len().min(3)]);
        if taken.insert(short) {
            return short;
        }
        number += 1;
    }
}

fn padded(base: &str, extension: &str) -> [u8; 11] {
    let mut short = [b' '; 11];
    for (to, from) in short[..8].iter_mut().zip(base.bytes()) {
        *to = from.to_ascii_uppercase();
    }
    for (to, from) in short[8..].iter_mut().zip(extension.bytes()) {
        *to = from.to_ascii_uppercase();
    }
    short
}

/// How a short name reads.
fn written(short: &[u8; 11]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (base, extension) = (part(&short[..8]), part(&short[8..]));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

impl Name {
    /// How many entries of a folder it takes.
    pub fn entries(&self) -> usize {
        1 + self.long.len().div_ceil(13)
    }

    /// The entries of the long name, which stand before the short one's, last part first.
    pub fn long_entries(&self) -> Vec<[u8; 32]> {
        let sum = self.short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let parts = self.long.chunks(13).enumerate();
        let count = parts.len();
        let mut entries = Vec::with_capacity(count);
        for (index, part) in parts.rev() {
            // The name ends with a zero, what is behind it is all ones.
            let unit = |at: usize| part.get(at).copied().unwrap_or(if at == part.len() { 0 } else { 0xffff });
            let mut entry = [0; 32];
            entry[0] = (index as u8 + 1) | if index + 1 == count { 0x40 } else { 0 };
            entry[11] = 0x0f;
            entry[13] = sum;
            for at in 0..13 {
                let to = match at {
                    0..5 => 1 + at * 2,
                    5..11 => 14 + (at - 5) * 2,
                    _ => 28 + (at - 11) * 2,
                };
                entry[to..to + 2].copy_from_slice(&unit(at).to_le_bytes());
            }
            entries.push(entry);
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(list: &[&str]) -> Vec<String> {
        names(list).unwrap_or_default().iter().map(|name| written(&name.short)).collect()
    }

    #[test]
    fn short_names_are_unique_and_only_numbered_where_needed() {
        let list =
            ["BOOTX64.EFI", "grub.cfg", "A longer name.txt", "A longer nose.txt", "ALONGE~1.TXT", ".hidden", "größe"];
        let expected =
            ["BOOTX64.EFI", "GRUB.CFG", "ALONGE~2.TXT", "ALONGE~3.TXT", "ALONGE~1.TXT", "HIDDEN~1", "GR__E~1"];
        assert_eq!(short(&list), expected);
        let names = names(&list).unwrap_or_default();
        assert!(names[0].long.is_empty() && !names[1].long.is_empty());
    }

    #[test]
    fn names_that_fat_cannot_hold_are_told() {
        for name in ["a:b", "a?", "dot.", "space ", &"x".repeat(256)] {
            assert!(names(&[name]).is_err(), "{name}");
        }
    }
}
