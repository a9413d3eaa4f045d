//! The names that a misspelt one was probably meant to be.
//!
//! In: a word and the words there are. Out: those near enough to be worth saying. Pure. Not here: saying so, but for the
//! half sentence that everybody adds.

/// Bytes of the longest name that anybody misspells: comparing takes the product of both lengths.
const LONGEST: usize = 200;

/// The candidate most like `word`, `None` when none is similar.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    close(word, candidates).into_iter().next()
}

/// Up to three of `candidates` that are like `word`, the nearest first. Capitals, and `_` for `-`, make no difference.
pub fn close<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(word);
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let distance = |candidate: &'a str| {
        let plain = Some(plain(candidate)).filter(|plain| plain.len() <= LONGEST)?;
        let slips = strsim::damerau_levenshtein(&wanted, &plain);
        // `write` for `write_file`: a beginning or a word of the name is what people remember.
        let part = wanted.len() > 2 && plain.split('-').any(|part| part == wanted);
        let near = part || slips <= (word.len().max(candidate.len()) / 3).max(1);
        (near && candidate != word).then_some((if part { 1 } else { slips }, candidate))
    };
    let mut close: Vec<(usize, &str)> = candidates.into_iter().filter_map(distance).collect();
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
    fn only_similar_names_are_suggested() {
        assert_eq!(nearest("instal_packages", ["install_packages", "remove"]), Some("install_packages"));
        assert_eq!(nearest("zzz", ["install_packages", "remove"]), None);
    }

    #[test]
    fn a_word_of_a_name_suggests_it() {
        assert_eq!(close("write", ["write_file", "write_unit", "remove"]), ["write_file", "write_unit"]);
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["debian-minimal", "debootstrap", "vm", "dpkg"];
        assert_eq!(close("debian_minimal", names), ["debian-minimal"]);
        assert_eq!(close("debian-minmal", names), ["debian-minimal"]);
        assert_eq!(close("vn", names), ["vm"]);
        assert!(close("kubernetes", names).is_empty());
    }

    #[test]
    fn a_suggestion_reads_as_a_question() {
        assert_eq!(suggestion(&["vm", "vn"]), "; did you mean `vm` or `vn`?");
        assert_eq!(suggestion(&[""; 0]), "");
    }
}
