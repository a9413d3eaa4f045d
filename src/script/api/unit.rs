//! What a systemd unit says about its own enabling.
//!
//! In: a unit's name and text. Out: the symlinks that enable it. Pure.
//! Format: systemd.unit(5), section `[Install]`; specifiers `%i`, `%p`, `%n` and `%%`.

use std::fmt;

/// A unit's name in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `getty@` of `getty@tty1.service`, `ssh` of `ssh.service`.
    prefix: String,
    /// `tty1`; empty for a template itself.
    instance: Option<String>,
    /// `service`.
    kind: String,
}

/// Kinds of units that a name may end in; other names mean a service.
const KINDS: [&str; 9] = ["service", "socket", "target", "timer", "path", "mount", "automount", "slice", "swap"];

impl Name {
    /// Reads a name; `ssh` means `ssh.service`. `None` when it is no unit's name.
    pub fn parse(text: &str) -> Option<Self> {
        let good = |letter: char| letter.is_ascii_alphanumeric() || ":-_.\\@".contains(letter);
        if text.is_empty() || text.starts_with(['.', '-']) || !text.chars().all(good) {
            return None;
        }
        let (stem, kind) = match text.rsplit_once('.') {
            Some((stem, kind)) if KINDS.contains(&kind) => (stem, kind),
            _ => (text, "service"),
        };
        let (prefix, instance) = match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance.to_owned())),
            None => (stem, None),
        };
        (!prefix.is_empty()).then(|| Self { prefix: prefix.to_owned(), instance, kind: kind.to_owned() })
    }

    /// The file that describes it: the template's for an instance.
    pub fn file(&self) -> String {
        let at = if self.instance.is_some() { "@" } else { "" };
        format!("{}{at}.{}", self.prefix, self.kind)
    }

    /// It is a template without an instance.
    fn is_template(&self) -> bool {
        self.instance.as_deref() == Some("")
    }

    fn with_instance(&self, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..self.clone() }
    }

    fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                expanded.push(letter);
                continue;
            }
            match letters.next() {
                Some('i' | 'I') => expanded.push_str(self.instance.as_deref().unwrap_or_default()),
                Some('p' | 'P') => expanded.push_str(&self.prefix),
                Some('n') => expanded.push_str(&self.to_string()),
                Some('N') => expanded.push_str(self.to_string().trim_end_matches(&format!(".{}", self.kind))),
                Some('%') => expanded.push('%'),
                // What cannot be known while building stays visible.
                Some(other) => expanded.extend(['%', other]),
                None => expanded.push('%'),
            }
        }
        expanded
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{}@{instance}.{}", self.prefix, self.kind),
            None => write!(f, "{}.{}", self.prefix, self.kind),
        }
    }
}

/// What the section `[Install]` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Install {
    /// Paths below `/etc/systemd/system` that become symlinks to the unit's file.
    pub links: Vec<String>,
    /// Other units to enable with it.
    pub also: Vec<String>,
}

/// Reads `[Install]` of the unit called `name`.
pub fn install(name: &Name, text: &str) -> Install {
    let mut keys: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    // A backslash at the end of a line joins it with the next.
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Install]";
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            let (key, value) = (key.trim().to_owned(), value.trim());
            if value.is_empty() {
                keys.retain(|(known, _)| *known != key);
            }
            keys.extend(value.split_whitespace().map(|word| (key.clone(), word.to_owned())));
        }
    }
    let default = keys.iter().find(|(key, _)| key == "DefaultInstance").map(|(_, value)| value.clone());
    let name = match default {
        Some(instance) if name.is_template() => name.with_instance(&instance),
        _ => name.clone(),
    };
    let mut install = Install::default();
    for (key, value) in &keys {
        let value = name.expand(value);
        match key.as_str() {
            "WantedBy" => install.links.push(format!("{value}.wants/{name}")),
            "RequiredBy" => install.links.push(format!("{value}.requires/{name}")),
            "UpheldBy" => install.links.push(format!("{value}.upholds/{name}")),
            "Alias" => install.links.push(value),
            "Also" => install.also.push(value),
            _ => {}
        }
    }
    // A unit's text must not choose a path outside the folder.
    install.links.retain(|link| !link.starts_with('/') && !link.split('/').any(|part| part == ".."));
    install
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_becomes_links() {
        let text = "[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=multi-user.target \\\n  a.target\nAlias=sshd.service\nAlso=ssh.socket\n#WantedBy=x\n";
        let install = install(&Name::parse("ssh").unwrap(), text);
        let links = ["multi-user.target.wants/ssh.service", "a.target.wants/ssh.service", "sshd.service"];
        assert_eq!(install.links, links);
        assert_eq!(install.also, ["ssh.socket"]);
    }

    #[test]
    fn an_instance_uses_its_templates_file() {
        let name = Name::parse("serial-getty@ttyS0.service").unwrap();
        assert_eq!(name.file(), "serial-getty@.service");
        assert_eq!(
            install(&name, "[Install]\nWantedBy=%i.target\n").links,
            ["ttyS0.target.wants/serial-getty@ttyS0.service"]
        );
        let template = Name::parse("getty@.service").unwrap();
        let text = "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n";
        assert_eq!(install(&template, text).links, ["getty.target.wants/getty@tty1.service"]);
    }

    #[test]
    fn names_that_are_paths_are_no_units() {
        for bad in ["", "../x", "a/b", "a b", "-x", "@x"] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
        assert_eq!(install(&Name::parse("a").unwrap(), "[Install]\nAlias=../../../etc/passwd\n").links, [""; 0]);
    }
}
