//! The filter that makes durability free inside a build.
//!
//! A build that dies is rebuilt, so `fsync` and its kin only cost time there: they become successes. The parent, which is
//! not filtered, syncs each finished artifact. Not here: confinement.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};

/// Why the filter could not be set.
#[derive(Debug, thiserror::Error)]
#[error("cannot set the no-sync system call filter: {0}")]
pub struct SeccompError(String);

/// Turns the syncing system calls of this process and all it will start into successes that do nothing.
///
/// # Errors
/// When the kernel has no seccomp filters, or the machine's architecture is unknown to the filter compiler.
pub fn ignore_sync() -> Result<(), SeccompError> {
    let calls = [
        nix::libc::SYS_fsync,
        nix::libc::SYS_fdatasync,
        nix::libc::SYS_sync,
        nix::libc::SYS_syncfs,
        nix::libc::SYS_msync,
        nix::libc::SYS_sync_file_range,
    ];
    let rules: BTreeMap<i64, Vec<SeccompRule>> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let failed = |error: &dyn std::fmt::Display| SeccompError(error.to_string());
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(&error))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), arch)
        .map_err(|error| failed(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| failed(&error))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| failed(&error))
}
