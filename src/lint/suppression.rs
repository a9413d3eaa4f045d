//! Comments that switch rules off.
//!
//! In: an element, a finding. Out: whether its author does not want to hear of it. `kiln-lint: allow RULE…` counts for its own line
//! and the next one, `kiln-lint: allow-file RULE…` for its file and, in element.rhai or README, for the element. DIB's
//! `# dib-lint: disable=NAME…` at the head of a line counts for its file, `dib-lint: safe_sudo` and `dib-lint: which` for their
//! line. Not here: the rules.

use super::finding::Finding;
use super::subject::Subject;

/// Files whose comments count for the element as a whole.
const OF_ELEMENT: [&str; 3] = ["element.rhai", "README.md", "README.rst"];

/// The author switched this finding off.
pub fn is_suppressed(subject: &Subject, finding: &Finding) -> bool {
    let rule = finding.rule;
    if !rule.dib_name.is_empty() && subject.surroundings.ignored.iter().any(|name| name == rule.dib_name) {
        return true;
    }
    let Some(path) = &finding.file else {
        let texts = OF_ELEMENT.iter().filter_map(|name| subject.file(name));
        return texts
            .flat_map(|file| file.lines().map(|line| line.text.to_owned()).collect::<Vec<_>>())
            .any(|line| names(&line, "allow-file ").any(|name| name == rule.name));
    };
    let Some(file) = subject.file(path.as_str()) else { return false };
    let line_of = finding.region().map(|((line, _), _)| line);
    file.lines().enumerate().any(|(index, line)| {
        let text = line.text;
        let here = line_of.is_some_and(|number| number == index + 1 || number == index + 2);
        let same_line = line_of == Some(index + 1);
        let dib = |head: &str| text.strip_prefix(head).into_iter().flat_map(str::split_whitespace);
        names(text, "allow-file ").any(|name| name == rule.name)
            || (here && names(text, "allow ").any(|name| name == rule.name))
            || (!rule.dib_name.is_empty()
                && (dib("# dib-lint: disable=").any(|name| name == rule.dib_name)
                    || (same_line && text.contains(&format!("dib-lint: {}", rule.dib_name)))))
    })
}

/// Names of rules after `kiln-lint: WORD`.
fn names<'a>(line: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let rest = line.split_once("kiln-lint: ").and_then(|(_, rest)| rest.strip_prefix(word));
    rest.into_iter().flat_map(|names| names.split([' ', ',']).filter(|name| !name.is_empty()))
}
