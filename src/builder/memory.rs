//! Whether a build is made in memory.
//!
//! In: a plan and the build's folder. Out: memory mounted there, when nothing of the build is kept and enough of it is free. It goes
//! with the builder, however that ends. Not here: what is made there.

use super::child::Site;
use crate::event::Events;
use crate::plan::Plan;
use crate::sandbox::mounted::Mounted;
use crate::sandbox::{host, overlay};

/// DIB's variables, which its options set: anything but `0` keeps builds out of memory; and a number of GiB.
const NEVER: &str = "DIB_NO_TMPFS";
const LEAST: &str = "DIB_MIN_TMPFS";

/// GiB that DIB takes for an image without being told.
const DEFAULT: u64 = 2;

/// So many times that must be free: the tree, the layers it is made of, the disk and its file, and what commands need themselves.
const TIMES: u64 = 4;

/// Free bytes at which memory counts as full.
const FULL: u64 = 16 << 20;

/// Mounts memory over the build's folder. Layers that are kept are moved to the store, which memory cannot be.
pub fn mount(plan: &Plan, site: &Site, events: &Events) -> bool {
    let variables = plan.shell.as_ref().map_or(&plan.variables, |shell| &shell.environment);
    let value = |name: &str| variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    if site.reuse || value(NEVER).is_some_and(|value| value != "0") {
        return false;
    }
    let least = value(LEAST).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT);
    let free = host::free_memory().unwrap_or_default();
    if free < least.saturating_mul(TIMES << 30) {
        return false;
    }
    let Ok(mounted) = Mounted::memory("kiln", free / 4 * 3, &site.work) else { return false };
    if !overlay::holds_layers(&site.work) {
        return false;
    }
    mounted.stay();
    events.info(format!("the build is made in memory: {} GiB are free ({NEVER}=1 makes it on disk)", free >> 30));
    true
}

/// Tells the user when a build that failed had no memory left.
pub fn warn_when_full(site: &Site, events: &Events) {
    if host::free_space(&site.work).is_ok_and(|free| free < FULL) {
        events.warn(format!(
            "the memory in which the build is made is full: make it on disk with --no-tmpfs or {NEVER}=1"
        ));
    }
}
