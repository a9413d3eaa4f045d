//! The differences that remain, each with its reason, and the judge who knows no other.

use regex::Regex;

use super::initramfs;
use super::tree::{Entry, Tree};

/// Paths (a regular expression for all of the path), what differs there, and why that is right.
struct Difference {
    paths: &'static str,
    aspects: &'static [&'static str],
    /// Shows that the reason holds.
    holds: fn(Option<&Entry>, Option<&Entry>) -> bool,
    why: &'static str,
    /// It is not there each time.
    sometimes: bool,
}

const ONLY: &[&str] = &["only in DIB's", "only in kiln's"];
const CONTENT: &[&str] = &["content"];

/// The contents after `change`, of both.
fn both(dib: Option<&Entry>, kiln: Option<&Entry>, change: impl Fn(&str) -> String) -> Option<(String, String)> {
    let text = |entry: &Entry| change(&String::from_utf8_lossy(&entry.content));
    Some((text(dib?), text(kiln?)))
}

/// The contents are equal once what `pattern` matches is taken out of both.
fn equal_without(dib: Option<&Entry>, kiln: Option<&Entry>, pattern: &str) -> bool {
    let pattern = Regex::new(pattern).unwrap();
    both(dib, kiln, |text| pattern.replace_all(text, "").into_owned()).is_some_and(|(one, other)| one == other)
}

/// Every line that is in kiln's is in DIB's.
fn has_all_lines(dib: Option<&Entry>, kiln: Option<&Entry>) -> bool {
    both(dib, kiln, str::to_owned)
        .is_some_and(|(one, other)| other.lines().all(|line| one.lines().any(|known| known == line)))
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        paths: "/dev/.*",
        aspects: ONLY,
        holds: |_, kiln| kiln.is_none(),
        why: "DIB packs the host's /dev, which it has mounted there",
        sometimes: false,
    },
    Difference {
        paths: "/dev(/.*)?",
        aspects: &["kind", "mode", "owner", "target", "device", "links", "content"],
        holds: |_, _| true,
        why: "in DIB's archive /dev is the host's; kiln's is the image's own",
        sometimes: false,
    },
    Difference {
        paths: "/(proc|sys)",
        aspects: ONLY,
        holds: |_, kiln| kiln.is_some_and(|entry| entry.kind == "folder"),
        why: "DIB leaves these mount points out of its archive; a system needs them",
        sometimes: false,
    },
    Difference {
        paths: "/lost\\+found",
        aspects: ONLY,
        holds: |_, kiln| kiln.is_none(),
        why: "belongs to the file system that DIB packs the tree from",
        sometimes: false,
    },
    Difference {
        paths: "/boot/grub/grub\\.cfg",
        aspects: CONTENT,
        holds: |dib, kiln| equal_without(dib, kiln, "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        why: "names the root file system by its UUID: random in DIB, derived from the request in kiln",
        sometimes: false,
    },
    Difference {
        paths: "/boot/initrd\\.img-.*",
        aspects: CONTENT,
        holds: |dib, kiln| initramfs::are_equal(&dib.unwrap().content, &kiln.unwrap().content),
        why: "deflated by another program, and in it the name of the iSCSI initiator and times; the unpacked files are equal",
        sometimes: false,
    },
    Difference {
        paths: "/etc/iscsi/initiatorname\\.iscsi",
        aspects: CONTENT,
        holds: |dib, kiln| equal_without(dib, kiln, "iqn\\.1993-08\\.org\\.debian:01:[0-9a-f]+"),
        why: "open-iscsi draws a random name when it is installed",
        sometimes: false,
    },
    Difference {
        paths: "/etc/dib-manifests/dib_arguments",
        aspects: CONTENT,
        holds: |dib, kiln| equal_without(dib, kiln, ",qcow2"),
        why: "the words, and kiln was asked for one more format",
        sometimes: false,
    },
    Difference {
        paths: "/etc/dib-manifests/dib_environment",
        aspects: CONTENT,
        holds: has_all_lines,
        why: "DIB's start adds its words and its python to the variables that the user set",
        sometimes: false,
    },
    Difference {
        paths: "/var/cache/debconf/(config|templates)\\.dat-old|/var/lib/dpkg/status-old",
        aspects: CONTENT,
        holds: |dib, kiln| dib.is_some() && kiln.is_some(),
        why: "the state before the last change: package-installs hands packages over in the order of a python set, another each time",
        sometimes: true,
    },
    Difference {
        paths: "/var/cache/ldconfig/aux-cache",
        aspects: CONTENT,
        holds: |dib, kiln| dib.unwrap().content.len() == kiln.unwrap().content.len(),
        why: "holds inode numbers and times of the libraries",
        sometimes: false,
    },
];

/// What the judge found.
pub struct Verdict {
    /// Differences that the list does not have.
    pub unexplained: Vec<String>,
    /// Entries of the list that explained nothing.
    pub unused: Vec<&'static str>,
}

/// Compares the trees.
pub fn judge(dib: &Tree, kiln: &Tree) -> Verdict {
    let list: Vec<(Regex, &Difference)> =
        DIFFERENCES.iter().map(|known| (Regex::new(&format!("^(?:{})$", known.paths)).unwrap(), known)).collect();
    let mut used = vec![false; list.len()];
    let mut unexplained = Vec::new();
    let mut paths: Vec<&String> = dib.keys().chain(kiln.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (one, other) = (dib.get(path), kiln.get(path));
        let differs = match (one, other) {
            (Some(one), Some(other)) => one.differs(other),
            (Some(_), None) => vec!["only in DIB's"],
            _ => vec!["only in kiln's"],
        };
        for aspect in differs {
            let explains = |(names, known): &(Regex, &Difference)| {
                names.is_match(path) && known.aspects.contains(&aspect) && (known.holds)(one, other)
            };
            match list.iter().position(explains) {
                Some(at) => used[at] = true,
                None => unexplained.push(format!("{path}: {aspect}{}", shown(aspect, one, other))),
            }
        }
    }
    let unused = list
        .iter()
        .zip(used)
        .filter(|((_, known), used)| !used && !known.sometimes)
        .map(|((_, known), _)| known.why)
        .collect();
    Verdict { unexplained, unused }
}

/// A short difference in words.
fn shown(aspect: &str, one: Option<&Entry>, other: Option<&Entry>) -> String {
    let (Some(one), Some(other)) = (one, other) else { return String::new() };
    match aspect {
        "mode" => format!(" {:o}, {:o}", one.mode, other.mode),
        "owner" => format!(" {:?}, {:?}", one.owner, other.owner),
        "target" => format!(" {}, {}", one.target, other.target),
        "kind" => format!(" {}, {}", one.kind, other.kind),
        "xattrs" => format!(" {:?}, {:?}", one.xattrs, other.xattrs),
        "links" => format!(" {:?}, {:?}", one.links, other.links),
        "device" => format!(" {:?}, {:?}", one.device, other.device),
        _ => {
            let at = one.content.iter().zip(&other.content).take_while(|(a, b)| a == b).count();
            let part = |entry: &Entry| {
                let from = at.saturating_sub(30).min(entry.content.len());
                String::from_utf8_lossy(&entry.content[from..entry.content.len().min(at + 60)]).into_owned()
            };
            format!(
                " of {} and {} bytes, from {at}: {:?}, {:?}",
                one.content.len(),
                other.content.len(),
                part(one),
                part(other)
            )
        }
    }
}
