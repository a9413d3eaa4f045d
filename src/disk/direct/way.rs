//! How a file system is filled on this machine.

use std::fmt;

use super::DiskError;
use super::version::Version;
use crate::disk::driver;

/// How a file system is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Its own tool fills it from a folder, without the kernel.
    Tool,
    /// The kernel fills it, mounted inside the builder.
    Kernel {
        /// What the tool lacks.
        why: String,
    },
    /// Neither can be done here.
    None {
        /// What the tool lacks.
        why: String,
        /// What to do.
        remedy: String,
        /// Why the kernel cannot do it either.
        kernel: String,
    },
}

impl Way {
    /// The tool's way when `has` is new enough, else the kernel's when it can mount `kind`.
    pub(super) fn choose(kind: &'static str, tool: &'static str, has: Option<Version>, needs: Version) -> Self {
        if has.is_some_and(|has| has >= needs) {
            return Self::Tool;
        }
        let why = match has {
            Some(has) => format!("{tool} {has} cannot fill it without loss, {needs} could"),
            None => format!("{tool} is missing or does not tell its version ({needs} or later could fill it)"),
        };
        match Self::kernel(kind, why) {
            Self::None { why, remedy, kernel } => {
                Self::None { why, remedy: format!("install {tool} {needs} or later, {remedy}"), kernel }
            }
            way => way,
        }
    }

    /// The kernel's way when it can mount `kind`; `why` is what the tool lacks.
    pub(super) fn kernel(kind: &'static str, why: String) -> Self {
        let remedy = format!("build where the kernel has {kind} and loop devices, or use ext4");
        match driver::loop_devices() {
            Err(kernel) => Self::None { why, remedy, kernel },
            Ok(()) if !driver::can_mount(kind) => {
                Self::None { why, remedy, kernel: format!("this machine's kernel cannot mount {kind}") }
            }
            Ok(()) => Self::Kernel { why },
        }
    }

    /// Refuses what cannot be done, for the file system of the node `node`.
    pub(super) fn check(&self, node: &str) -> Result<(), DiskError> {
        match self {
            Self::None { why, remedy, kernel } => {
                Err(DiskError::Shape { node: node.to_owned(), why: format!("{why}, and {kernel}; {remedy}") })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool => f.write_str("filled by its own tool"),
            Self::Kernel { why } => write!(f, "filled by the kernel, mounted inside the builder: {why}"),
            Self::None { why, kernel, .. } => write!(f, "cannot be filled here: {why}, and {kernel}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tool_needs_no_kernel() {
        assert_eq!(Way::choose("kilnfs", "mkfs.kilnfs", Some(Version(7, 0)), Version(6, 17)), Way::Tool);
    }

    #[test]
    fn an_old_tool_and_a_kernel_without_driver_are_refused_with_the_version() {
        let way = Way::choose("kilnfs", "mkfs.kilnfs", Some(Version(6, 1)), Version(6, 17));
        let error = way.check("root").unwrap_err().to_string();
        assert!(error.contains("mkfs `root`: mkfs.kilnfs 6.1 cannot fill it without loss, 6.17 could"), "{error}");
        assert!(error.contains("install mkfs.kilnfs 6.17 or later"), "{error}");
    }
}
