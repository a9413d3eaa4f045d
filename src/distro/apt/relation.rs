//! Relations between packages (Debian policy §7.1).
//!
//! In: the text of a `Depends` or its siblings. Out: groups of alternatives, and whether a version meets one.
//! Not here: which packages there are.

use std::cmp::Ordering;

use debversion::Version;

/// One alternative: a name and perhaps a bound on the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The package, real or virtual, without its architecture qualifier.
    pub name: String,
    /// `<<`, `<=`, `=`, `>=`, `>>` and a version.
    pub bound: Option<(Bound, String)>,
}

/// How a version is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `<<`
    Earlier,
    /// `<=`
    AtMost,
    /// `=`
    Exactly,
    /// `>=`
    AtLeast,
    /// `>>`
    Later,
}

impl Relation {
    /// Whether `version` is within the bound.
    pub fn admits(&self, version: &str) -> bool {
        let Some((bound, limit)) = &self.bound else { return true };
        let (Ok(version), Ok(limit)) = (version.parse::<Version>(), limit.parse::<Version>()) else {
            return version == limit;
        };
        let order = version.cmp(&limit);
        match bound {
            Bound::Earlier => order == Ordering::Less,
            Bound::AtMost => order != Ordering::Greater,
            Bound::Exactly => order == Ordering::Equal,
            Bound::AtLeast => order != Ordering::Less,
            Bound::Later => order == Ordering::Greater,
        }
    }

    /// Whether a package that provides the name in `version` (or in none) meets the relation: an unversioned provision meets
    /// no bound.
    pub fn admits_provided(&self, version: Option<&str>) -> bool {
        match (&self.bound, version) {
            (None, _) => true,
            (Some(_), Some(version)) => self.admits(version),
            (Some(_), None) => false,
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        let Some((bound, version)) = &self.bound else { return Ok(()) };
        let sign = match bound {
            Bound::Earlier => "<<",
            Bound::AtMost => "<=",
            Bound::Exactly => "=",
            Bound::AtLeast => ">=",
            Bound::Later => ">>",
        };
        write!(f, " ({sign} {version})")
    }
}

/// Reads `a (>= 1) | b, c`: one group for each comma.
pub fn relations(text: &str) -> Vec<Vec<Relation>> {
    text.split(',')
        .map(|group| group.split('|').filter_map(relation).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

/// Reads a `Provides`: names and versions.
pub fn provides(text: &str) -> Vec<(String, Option<String>)> {
    text.split(',')
        .filter_map(relation)
        .map(|relation| (relation.name, relation.bound.map(|(_, version)| version)))
        .collect()
}

fn relation(text: &str) -> Option<Relation> {
    let text = text.trim();
    let (name, rest) = match text.find(['(', ' ', '\t', '\n', '[']) {
        Some(end) => (&text[..end], text[end..].trim_start()),
        None => (text, ""),
    };
    let name = name.split(':').next().unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let bound = rest.strip_prefix('(').and_then(|inner| inner.split(')').next()).and_then(|inner| {
        let inner = inner.trim();
        let signs = inner.find(|c: char| !matches!(c, '<' | '>' | '=')).unwrap_or(0);
        let bound = match &inner[..signs] {
            "<<" => Bound::Earlier,
            "<=" | "<" => Bound::AtMost,
            "=" => Bound::Exactly,
            ">=" | ">" => Bound::AtLeast,
            ">>" => Bound::Later,
            _ => return None,
        };
        Some((bound, inner[signs..].trim().to_owned()))
    });
    Some(Relation { name: name.to_owned(), bound })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_alternatives_bounds_and_qualifiers_are_read() {
        let groups = relations("libc6 (>= 2.36), usrmerge | usr-is-merged, perl:any (<< 6~), a");
        let text: Vec<String> =
            groups.iter().map(|group| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")).collect();
        assert_eq!(text, ["libc6 (>= 2.36)", "usrmerge | usr-is-merged", "perl (<< 6~)", "a"]);
        assert_eq!(provides("awk, x (= 1:2-3)"), [("awk".into(), None), ("x".into(), Some("1:2-3".into()))]);
    }

    #[test]
    fn bounds_follow_debian_order() {
        let group = |text: &str| relations(text).remove(0).remove(0);
        assert!(group("a (>= 1.0~rc1)").admits("1.0"));
        assert!(!group("a (>= 1.0)").admits("1.0~rc1"));
        assert!(group("a (<< 1:0)").admits("99"));
        assert!(group("a (= 1.0-1)").admits("1.0-1"));
        assert!(!group("a (>> 1.0-1)").admits("1.0-1"));
        assert!(!group("a (>= 1)").admits_provided(None));
        assert!(group("a").admits_provided(None));
        assert!(group("a (<= 2)").admits_provided(Some("1")));
    }
}
