//! The names that a misspelt one may have meant.
//!
//! In: a name and the names that exist. Out: the close ones, nearest first. Not here: saying so.

/// Up to three of `names` that are close to `name`, nearest first.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(name);
    let mut close: Vec<(usize, &str)> = names
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (name.len().max(candidate.len()) / 3).max(1))
        .collect();
    close.sort_unstable();
    close.dedup();
    close.into_iter().map(|(_, candidate)| candidate).take(3).collect()
}

/// `; did you mean …?` for close names, nothing without any.
pub fn suggestion(close: &[impl AsRef<str>]) -> String {
    if close.is_empty() {
        return String::new();
    }
    let names: Vec<String> = close.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    format!("; did you mean {}?", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["debian-minimal", "debootstrap", "vm", "dpkg"];
        assert_eq!(nearest("debian_minimal", names), ["debian-minimal"]);
        assert_eq!(nearest("debian-minmal", names), ["debian-minimal"]);
        assert_eq!(nearest("vn", names), ["vm"]);
        assert!(nearest("kubernetes", names).is_empty());
    }

    #[test]
    fn a_suggestion_reads_as_a_question() {
        assert_eq!(suggestion(&["vm", "vn"]), "; did you mean `vm` or `vn`?");
        assert_eq!(suggestion(&[""; 0]), "");
    }
}
