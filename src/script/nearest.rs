//! The name that a misspelt one was probably meant to be.
//!
//! In: a word and the words there are. Out: the nearest, when it is near enough to be worth saying. Pure.

/// The candidate most like `word`, `None` when none is similar.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().filter(|candidate| *candidate != word).map(|candidate| {
        let score = strsim::jaro_winkler(word, candidate);
        // `write` for `write_file`: a beginning or a word of the name is what people remember.
        let part = word.len() > 2 && candidate.split('_').any(|part| part == word);
        (if part { score.max(0.9) } else { score }, candidate)
    });
    let best = scored.max_by(|(left, name), (right, other)| left.total_cmp(right).then_with(|| other.cmp(name)));
    best.filter(|(score, _)| *score >= 0.8).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        assert_eq!(nearest("instal_packages", ["install_packages", "remove"]), Some("install_packages"));
        assert_eq!(nearest("zzz", ["install_packages", "remove"]), None);
    }
}
