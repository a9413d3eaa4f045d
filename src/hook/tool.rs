//! The packages verbs on a tree that hooks made: the image's own `install-packages` carries them out.
//!
//! In: the image as hooks see it, their variables. Out: [`Packages`]. Not here: trees that the program bootstraps (`distro/`).

use std::collections::BTreeMap;

use super::limits::Limits;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::Command;
use crate::target::{Packages, TargetError};

/// The image's own tool.
#[derive(Clone, Debug)]
pub struct Tool {
    chroot: Chroot,
    variables: BTreeMap<String, String>,
    limits: Limits,
    events: Events,
}

/// The version of an installed package, asked of whichever database the image has.
const VERSION: &str = "if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${Version}' \"$1\"; \
                       else rpm -q --qf '%{VERSION}-%{RELEASE}' \"$1\"; fi 2>/dev/null";

impl Tool {
    /// The tool of the image in `chroot`, which sees `variables` and keeps to `limits`.
    pub fn new(chroot: &Chroot, variables: BTreeMap<String, String>, limits: Limits, events: &Events) -> Self {
        Self { chroot: chroot.clone(), variables, limits, events: events.clone() }
    }

    fn bash(&self, words: &[&str]) -> Result<(i32, Vec<u8>), TargetError> {
        let words = ["/bin/bash", "-c"].iter().chain(words).copied();
        let command = Command::new(words).environment(self.variables.clone()).inside(&self.chroot);
        let output = self
            .limits
            .on(command)
            .run(&self.events)
            .map_err(|error| TargetError::new("packages.tool", format!("cannot run install-packages: {error}")))?;
        Ok((output.status, output.stdout))
    }

    fn run(&self, options: &[&str], names: &[String]) -> Result<(), TargetError> {
        let mut words = vec!["exec install-packages \"$@\"", "install-packages"];
        words.extend(options);
        words.extend(names.iter().map(String::as_str));
        match self.bash(&words)?.0 {
            0 => Ok(()),
            127 => Err(TargetError::new(
                "packages.tool",
                "no element brought `install-packages` into the image: add the one of the distribution's package manager",
            )),
            status => {
                let words = words[2..].join(" ");
                Err(TargetError::new(
                    "packages.failed",
                    format!("`install-packages {words}` ended with status {status}"),
                ))
            }
        }
    }
}

impl Packages for Tool {
    fn install(&self, names: &[String]) -> Result<(), TargetError> {
        self.run(&[], names)
    }

    fn remove(&self, names: &[String]) -> Result<(), TargetError> {
        self.run(&["-e"], names)
    }

    fn update(&self) -> Result<(), TargetError> {
        self.run(&["-u"], &[])
    }

    fn version(&self, name: &str) -> Result<Option<String>, TargetError> {
        let (status, text) = self.bash(&[VERSION, "version", name])?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok((status == 0 && !text.is_empty()).then_some(text))
    }
}
