//! The manifest of a draft.

use super::value::quoted;

/// What goes into `const ELEMENT`.
#[derive(Debug, Default)]
pub struct Manifest {
    /// What the element is for.
    pub summary: String,
    /// Elements that it needs.
    pub depends: Vec<String>,
    /// What it stands for.
    pub provides: Vec<String>,
    /// What its scripts may do.
    pub permissions: Vec<String>,
    /// Variables that it sets unless they are set.
    pub environment: Vec<(String, String)>,
}

impl Manifest {
    /// The text of `element.rhai`.
    pub fn print(&self) -> String {
        let mut text = format!("//! {}\n\nconst ELEMENT = #{{\n", self.summary);
        text.push_str(&format!("    summary: {},\n", quoted(&self.summary)));
        for (key, list) in
            [("depends", &self.depends), ("provides", &self.provides), ("permissions", &self.permissions)]
        {
            if !list.is_empty() {
                text.push_str(&list_of(key, list));
            }
        }
        if !self.environment.is_empty() {
            text.push_str("    environment: #{\n");
            for (name, value) in &self.environment {
                text.push_str(&format!("        {name}: {},\n", quoted(value)));
            }
            text.push_str("    },\n");
        }
        text.push_str("};\n");
        text
    }
}

fn list_of(key: &str, list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
    let line = format!("    {key}: [{}],\n", items.join(", "));
    if line.len() <= 120 {
        return line;
    }
    let lines: String = items.iter().map(|item| format!("        {item},\n")).collect();
    format!("    {key}: [\n{lines}    ],\n")
}

/// Grants without those that another one covers.
pub fn pruned(permissions: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = permissions.into_iter().collect();
    all.sort();
    all.dedup();
    let covered = |grant: &String| {
        let Some(path) = grant.strip_prefix("write:") else { return false };
        all.iter().filter_map(|other| other.strip_prefix("write:")).any(|other| {
            other != path && (other == "/" || path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/')))
        })
    };
    all.iter().filter(|grant| !covered(grant)).cloned().collect()
}

/// What an element is for, from its README: the first sentence of its first paragraph, else its title.
pub fn summary(name: &str, readme: Option<&str>) -> String {
    let fallback = || format!("the element {name}");
    let Some(readme) = readme else { return fallback() };
    let rule = |line: &str| line.len() > 1 && line.chars().all(|letter| "=-~*#^".contains(letter));
    let mut paragraph = Vec::new();
    for line in readme.lines().map(str::trim).skip_while(|line| line.is_empty()) {
        if rule(line) {
            // What was read so far was a title.
            paragraph.clear();
        } else if line.is_empty() {
            let title = paragraph.len() == 1 && paragraph.first().is_some_and(|text| *text == name);
            if !paragraph.is_empty() && !title {
                break;
            }
            paragraph.clear();
        } else if !line.starts_with("..") {
            paragraph.push(line);
        }
    }
    let text = paragraph.join(" ").replace("``", "`");
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches(['.', ':']);
    if sentence.is_empty() { fallback() } else { sentence.chars().take(160).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_below_another_one_is_left_out() {
        let grants = ["write:/etc/a", "run", "write:/etc/ab", "write:/etc/a/b"].map(str::to_owned);
        assert_eq!(pruned(grants), ["run", "write:/etc/a", "write:/etc/ab"]);
        assert_eq!(pruned(["write:/", "write:/etc"].map(str::to_owned)), ["write:/"]);
    }

    #[test]
    fn the_summary_is_the_first_sentence_of_the_readme() {
        let readme = "======\npkg-map\n======\n\nMap package names. More of it.\n";
        assert_eq!(summary("pkg-map", Some(readme)), "Map package names");
        assert_eq!(summary("x", Some("x\n==\n")), "the element x");
        assert_eq!(summary("x", None), "the element x");
    }
}
