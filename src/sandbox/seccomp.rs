//! The filter that makes durability free inside a build.
//!
//! A build that dies is rebuilt, so `fsync` and its kin only cost time there: they become successes. The parent, which is
//! not filtered, syncs each finished artifact. Programs of another ABI (i386 on amd64) run unfiltered. Not here: confinement.

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
    seccompiler::apply_filter_all_threads(&program()?).map_err(|error| SeccompError(error.to_string()))
}

fn program() -> Result<BpfProgram, SeccompError> {
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
    let mut program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| failed(&error))?;
    // The compiler's first instructions kill whoever calls by another ABI; no other instruction kills.
    let is_kill = |code: u16, value: u32| code == RETURN && value == nix::libc::SECCOMP_RET_KILL_PROCESS;
    for instruction in &mut program {
        if is_kill(instruction.code, instruction.k) {
            instruction.k = nix::libc::SECCOMP_RET_ALLOW;
        }
    }
    Ok(program)
}

/// `BPF_RET | BPF_K` of linux/bpf_common.h: ends the filter with a fixed answer.
const RETURN: u16 = 0x06;

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    /// An i386 program of 92 bytes that ends with status 42: one segment, `mov $42,%bl; xor %eax,%eax; inc %eax; int $0x80`.
    fn i386_program() -> Vec<u8> {
        let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0".to_vec();
        let (base, code) = (0x0804_8000_u32, [0xb3, 42, 0x31, 0xc0, 0x40, 0xcd, 0x80, 0x90]);
        for word in [base + 84, 52, 0, 0] {
            elf.extend(word.to_le_bytes());
        }
        for half in [52_u16, 32, 1, 0, 0, 0] {
            elf.extend(half.to_le_bytes());
        }
        for word in [1, 0, base, base, 92, 92, 5, 0x1000] {
            elf.extend(word.to_le_bytes());
        }
        elf.extend(code);
        elf
    }

    #[test]
    fn a_program_of_another_architecture_runs_below_the_filter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i386");
        std::fs::write(&path, i386_program()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let status = move || Command::new([path.to_str().unwrap()]).run(&Events::none()).map(|output| output.status);
        // A kernel without 32-bit programs proves nothing.
        if !matches!(status(), Ok(42)) {
            return;
        }
        // Only this thread, and what it starts, is filtered.
        let filtered = std::thread::spawn(move || {
            seccompiler::apply_filter(&program().unwrap()).unwrap();
            status()
        });
        assert_eq!(filtered.join().unwrap().unwrap(), 42);
    }
}
