//! What a port made of an element, for its user.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::kept::Kept;

/// What a port made of an element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The element.
    pub element: String,
    /// Where the draft is.
    pub draft: Utf8PathBuf,
    /// Its hooks, in the order of their paths.
    pub hooks: Vec<HookReport>,
    /// Every file of the element and what became of it, in the order of their paths.
    pub files: Vec<FileReport>,
    /// What the draft's scripts may do.
    pub permissions: Vec<String>,
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookReport {
    /// Its file: `install.d/10-x`.
    pub hook: String,
    /// It is Rhai now.
    pub translated: bool,
    /// What keeps it in shell.
    pub reasons: Vec<Kept>,
    /// Variables of the environment that the Rhai hook reads.
    pub reads: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its path in the element.
    pub path: String,
    /// The file of the draft that has its content.
    pub becomes: String,
}

impl Report {
    /// Hooks that are Rhai now.
    pub fn translated(&self) -> usize {
        self.hooks.iter().filter(|hook| hook.translated).count()
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {} of {} hooks translated\n", self.element, self.translated(), self.hooks.len());
        text.push_str(&format!("draft: {}\n", self.draft));
        for hook in &self.hooks {
            if hook.translated {
                text.push_str(&format!("\n  {}: now {}.rhai\n", hook.hook, hook.hook));
                if !hook.reads.is_empty() {
                    text.push_str(&format!("    reads {}\n", hook.reads.join(", ")));
                }
            } else {
                text.push_str(&format!("\n  {}: stays a shell hook\n", hook.hook));
                for kept in &hook.reasons {
                    text.push_str(&format!("    line {}: {}\n", kept.line, kept.reason));
                }
            }
        }
        let moved: Vec<&FileReport> = self.files.iter().filter(|file| file.path != file.becomes).collect();
        let rest = self.files.len() - moved.len();
        text.push('\n');
        for file in moved.iter().filter(|file| file.becomes == "element.rhai") {
            text.push_str(&format!("  {}: in element.rhai\n", file.path));
        }
        text.push_str(&format!("  {rest} files are the same\n"));
        if !self.permissions.is_empty() {
            text.push_str(&format!("  permissions: {}\n", self.permissions.join(", ")));
        }
        text
    }
}
