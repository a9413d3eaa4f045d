//! What an element may do, declared once.
//!
//! In: the text of a grant (`write:/etc/nginx`). Out: a value that covers needs or does not. Pure.
//! Not here: asking (`image`), following symlinks (`crate::target::resolve`).

use std::fmt;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// A grant, or the need for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Install, remove and update packages.
    Packages,
    /// Change what is at or below a path in the image.
    Write(Utf8PathBuf),
    /// Enable, disable and write services.
    Services,
    /// Add users and groups.
    Users,
    /// Run commands inside the image.
    Run,
    /// Let those commands reach the network.
    Network,
    /// Download from one host.
    Fetch(String),
    /// Read what is at or below a path of the host.
    ReadHost(Utf8PathBuf),
    /// Change the kernel's command line.
    KernelArgs,
    /// Change the block-device tree.
    Disk,
    /// Read one secret.
    Secret(String),
}

/// Why a text is no permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// No permission has this name.
    #[error("unknown permission `{name}`{}", nearest(.name))]
    Unknown {
        /// What was written before the colon.
        name: String,
    },
    /// The permission needs a value after a colon.
    #[error("permission `{name}` needs {value} after a colon: `{name}:{example}`")]
    NeedsValue {
        /// The permission.
        name: &'static str,
        /// What is missing.
        value: &'static str,
        /// A good one.
        example: &'static str,
    },
    /// The permission takes no value.
    #[error("permission `{name}` takes no value, but `{value}` follows it")]
    TakesNoValue {
        /// The permission.
        name: &'static str,
        /// What followed.
        value: String,
    },
    /// A path that is relative or holds `..`.
    #[error("permission `{name}:{path}` needs an absolute path without `..`")]
    BadPath {
        /// The permission.
        name: &'static str,
        /// The path.
        path: String,
    },
}

fn nearest(name: &str) -> String {
    super::nearest::nearest(name, NAMES.iter().copied())
        .map_or_else(|| format!("; there are {}", NAMES.join(", ")), |near| format!("; did you mean `{near}`?"))
}

/// Names of all permissions, as an element writes them.
pub const NAMES: [&str; 11] = [
    "packages",
    "write",
    "services",
    "users",
    "run",
    "network",
    "fetch",
    "read-host",
    "kernel-args",
    "disk",
    "secrets",
];

/// Reads one grant as it stands in an element's `permissions`.
///
/// # Errors
/// When it is no permission.
pub fn parse(text: &str) -> Result<Permission, PermissionError> {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let bare = |name: &'static str, permission: Permission| match value {
        None => Ok(permission),
        Some(value) => Err(PermissionError::TakesNoValue { name, value: value.to_owned() }),
    };
    let with = |name: &'static str, what: &'static str, example: &'static str| {
        let value = value.filter(|value| !value.is_empty());
        value.ok_or(PermissionError::NeedsValue { name, value: what, example })
    };
    match name {
        "packages" => bare("packages", Permission::Packages),
        "services" => bare("services", Permission::Services),
        "users" => bare("users", Permission::Users),
        "run" => bare("run", Permission::Run),
        "network" => bare("network", Permission::Network),
        "kernel-args" => bare("kernel-args", Permission::KernelArgs),
        "disk" => bare("disk", Permission::Disk),
        "write" => Ok(Permission::Write(path("write", with("write", "a path", "/etc/motd")?)?)),
        "read-host" => Ok(Permission::ReadHost(path("read-host", with("read-host", "a path", "/etc/motd")?)?)),
        "fetch" => Ok(Permission::Fetch(with("fetch", "a host name", "example.org")?.to_owned())),
        "secrets" => Ok(Permission::Secret(with("secrets", "a secret's name", "password")?.to_owned())),
        _ => Err(PermissionError::Unknown { name: name.to_owned() }),
    }
}

fn path(name: &'static str, text: &str) -> Result<Utf8PathBuf, PermissionError> {
    let path = Utf8Path::new(text);
    if !path.is_absolute() || path.components().any(|part| part == Utf8Component::ParentDir) {
        return Err(PermissionError::BadPath { name, path: text.to_owned() });
    }
    // Components drop `//`, `/./` and a slash at the end.
    Ok(path.components().collect())
}

impl Permission {
    /// This grant is enough for `need`. Paths compare by whole components: `/etc` covers `/etc/x`, not `/etcetera`.
    pub fn covers(&self, need: &Self) -> bool {
        match (self, need) {
            (Self::Write(granted), Self::Write(path)) | (Self::ReadHost(granted), Self::ReadHost(path)) => {
                path.starts_with(granted)
            }
            (granted, need) => granted == need,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages => f.write_str("packages"),
            Self::Write(path) => write!(f, "write:{path}"),
            Self::Services => f.write_str("services"),
            Self::Users => f.write_str("users"),
            Self::Run => f.write_str("run"),
            Self::Network => f.write_str("network"),
            Self::Fetch(host) => write!(f, "fetch:{host}"),
            Self::ReadHost(path) => write!(f, "read-host:{path}"),
            Self::KernelArgs => f.write_str("kernel-args"),
            Self::Disk => f.write_str("disk"),
            Self::Secret(id) => write!(f, "secrets:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(granted: &str, need: &str) -> bool {
        parse(granted).unwrap().covers(&parse(need).unwrap())
    }

    #[test]
    fn a_prefix_covers_whole_components_only() {
        assert!(covers("write:/etc/nginx", "write:/etc/nginx"));
        assert!(covers("write:/etc/nginx/", "write:/etc//nginx/./conf.d/site"));
        assert!(covers("write:/", "write:/anything"));
        assert!(!covers("write:/etc/nginx", "write:/etc/nginx-extra"));
        assert!(!covers("write:/etc/nginx", "write:/etc"));
        assert!(!covers("read-host:/", "write:/etc"));
        assert!(!covers("fetch:a.example", "fetch:b.example"));
    }

    #[test]
    fn every_name_can_be_read_and_says_itself() {
        for name in NAMES {
            let text = match name {
                "write" | "read-host" => format!("{name}:/etc/motd"),
                "fetch" | "secrets" => format!("{name}:x"),
                bare => bare.to_owned(),
            };
            assert_eq!(parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_permission_is_refused_with_advice() {
        let text = |grant: &str| parse(grant).unwrap_err().to_string();
        assert_eq!(text("pakages"), "unknown permission `pakages`; did you mean `packages`?");
        assert_eq!(text("write"), "permission `write` needs a path after a colon: `write:/etc/motd`");
        assert_eq!(text("run:ls"), "permission `run` takes no value, but `ls` follows it");
        assert_eq!(text("write:/etc/../root"), "permission `write:/etc/../root` needs an absolute path without `..`");
    }
}
