//! Stops where the user asked for a shell.
//!
//! In: the name of a point (`before-install`, `after-error`), and where a shell would run. Out: nothing, after the shell ended.
//! Its input and output are the user's own, which the parent handed down. Not here: which points there are (`builder/`).

use super::environment::Environment;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::interactive::{self, Terminal};

/// Where a shell would be opened.
#[derive(Clone, Copy, Debug)]
pub struct Stop<'a> {
    /// `before-install`.
    pub point: &'a str,
    /// What runs there: `bash`.
    pub command: &'a str,
    /// The image, when it runs there.
    pub chroot: Option<&'a Chroot>,
    /// Its variables and working folder.
    pub environment: &'a Environment,
}

/// Opens the shell and waits for it; how it ends does not matter.
pub fn stop(stop: &Stop<'_>, terminal: Option<&Terminal>, events: &Events) {
    events.output("Starting debug shell. Exit to resume building.");
    events.output(format!("At stage {}", stop.point));
    let words = ["/bin/bash", "-c", stop.command];
    let (variables, directory) = (&stop.environment.variables, &stop.environment.directory);
    if let Err(error) = interactive::run(&words, variables, directory, stop.chroot, terminal) {
        events.warn(format!("no shell at {}: {error}", stop.point));
    }
    events.output("Resuming");
}
