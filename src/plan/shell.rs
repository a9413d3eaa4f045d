//! What shell hooks see: DIB's interface, as far as it is known when planning.
//!
//! In: a request, its elements, the layout's names. Out: [`ShellPlan`]: the variables that every hook inherits, where hooks of
//! the host side run, where a shell was asked for. Paths that only a builder knows (`TMP_BUILD_DIR`, `_LIB`) are the builder's to
//! add. Not here: `environment.d`, which only a real bash can read (`hook/`).

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::disk::config::Config;
use crate::disk::layout::Layout;
use crate::element::shell_functions::exported_functions;
use crate::element::{Element, HookKind, Settings, expansion};
use crate::request::{Breakpoints, Request};

/// What shell hooks see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellPlan {
    /// Variables of every hook.
    pub environment: BTreeMap<String, String>,
    /// Where hooks outside the image run: the folder the command was given in.
    pub directory: Utf8PathBuf,
    /// `DIB_DEFAULT_INSTALLTYPE`, which hooks see from extra-data on.
    pub install_type: String,
    /// Where a shell is wanted.
    pub breakpoints: Breakpoints,
    /// Seconds for which a step that may reach the network is reused.
    pub max_age: u64,
    /// Hooks are confined: they write only in the build's folders, and those of these elements alone have a network.
    #[serde(default)]
    pub confine: Option<BTreeSet<String>>,
    /// Files of elements that do not come into the hooks folder: another element's take their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Utf8PathBuf>,
}

/// Variables of a session that no build depends on: a hook sees them, keys do not.
const SESSION: [&str; 14] = [
    "COLUMNS",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LINES",
    "LS_COLORS",
    "MAIL",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "TERM",
    "WINDOWID",
    "_",
];

/// Beginnings of names of the same kind.
const SESSION_PREFIXES: [&str; 5] = ["CARGO", "SSH_", "SUDO_", "TMUX", "XDG_SESSION"];

impl ShellPlan {
    /// The variables that a key depends on, with what is in the files that they name.
    pub fn keyed(&self) -> BTreeMap<&str, (&str, String)> {
        let session =
            |name: &str| SESSION.contains(&name) || SESSION_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let counted = self.environment.iter().filter(|(name, _)| !session(name));
        counted.map(|(name, value)| (name.as_str(), (value.as_str(), named_file(name, value)))).collect()
    }
}

/// Bytes up to which a file is read to know its content; of a larger one, size and time count.
const SMALL_FILE: u64 = 1 << 20;

/// What tells the content of the file that a variable of DIB names from another's: a host hook may copy it into the image.
fn named_file(name: &str, value: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    if !name.starts_with("DIB_") || !value.starts_with('/') {
        return String::new();
    }
    let Ok(data) = std::fs::metadata(value) else { return String::new() };
    match std::fs::read(value) {
        Ok(content) if data.is_file() && data.len() <= SMALL_FILE => blake3::hash(&content).to_hex().to_string(),
        _ if data.is_file() => format!("{} {} {}", data.len(), data.mtime(), data.mtime_nsec()),
        _ => String::new(),
    }
}

/// The elements that declare the network.
fn networked(elements: &[Element]) -> BTreeSet<String> {
    let declares = |element: &&Element| element.permissions.iter().any(|permission| permission == "network");
    elements.iter().filter(declares).map(|element| element.name.clone()).collect()
}

/// The files of `element` that another element's take the place of.
fn left_out(element: &Element) -> impl Iterator<Item = Utf8PathBuf> {
    element.left_out.iter().map(|file| element.directory.join(file))
}

/// Whether any element brings a hook that is no script, or the user wants a shell: then DIB's whole interface is there.
pub(super) fn is_needed(request: &Request, elements: &[Element]) -> bool {
    !request.breakpoints.points.is_empty()
        || elements.iter().flat_map(|element| &element.hooks).any(|hook| !matches!(hook.kind, HookKind::Script { .. }))
}

/// What the shell hooks of `elements` see.
pub(super) fn plan(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    (config, layout): (&Config, &Layout),
    recorded: &BTreeMap<String, String>,
) -> ShellPlan {
    // Complete, but for what elements say: options and DIB's defaults are in it already.
    let mut environment = request.environment.clone();
    // Variables that elements in Rhai set are the same for everybody.
    for (name, value) in &settings.variables {
        environment.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let mut set = |name: &str, value: String| {
        environment.insert(name.to_owned(), value);
    };
    set("DIB_ARGS", recorded.get("DIB_ARGS").cloned().unwrap_or_default());
    set("DIB_ENV", recorded.get("DIB_ENV").cloned().unwrap_or_default());
    let label = |point: &str| layout.at(point).map(|filesystem| filesystem.label.clone()).unwrap_or_default();
    let kind = layout.at("/").map(|filesystem| filesystem.kind.clone()).unwrap_or_default();
    // In the order of the description, as `getval mount-points` has it; subvolumes, which DIB does not know, after them.
    let mut points: Vec<_> = config.mounts.iter().map(|mount| mount.mount_point.as_str()).collect();
    for mounted in layout.mounts() {
        if !points.contains(&mounted.point) {
            points.push(mounted.point);
        }
    }
    let mut set = |name: &str, value: String| {
        environment.insert(name.to_owned(), value);
    };
    set("DIB_ROOT_LABEL", label("/"));
    set("DIB_ROOT_FSTYPE", kind);
    set("DIB_BOOT_LABEL", label("/boot"));
    set("DIB_MOUNTPOINTS", points.join("|"));
    let entries = expansion::entries(elements);
    set("IMAGE_ELEMENT", expansion::names(&entries));
    set("IMAGE_ELEMENT_YAML", expansion::yaml(&entries));
    // bash hands functions on in variables of such names. In the image they are there too: under DIB `sudo` loses them.
    environment.extend(exported_functions(&entries));
    ShellPlan {
        environment,
        directory: request.directory.clone(),
        install_type: settings
            .variables
            .get("DIB_DEFAULT_INSTALLTYPE")
            .filter(|value| !value.is_empty())
            .cloned()
            .unwrap_or_else(|| "source".to_owned()),
        breakpoints: request.breakpoints.clone(),
        max_age: request.max_age,
        confine: request.confine.then(|| networked(elements)),
        left_out: elements.iter().flat_map(left_out).collect(),
    }
}
