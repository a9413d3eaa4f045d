//! A PID namespace of its own for one command, so that all it ever started ends with it.
//!
//! In: a forked child that has unshared its PID namespace (which only its children enter). Out: the process that is to execute,
//! below two that wait for it: the child itself, which the caller knows, and the first process of the namespace. When that one
//! ends, the kernel kills all that is left in the namespace, daemons in sessions of their own too, and lets its parent see the
//! end only when they are gone. The command itself is not the first process: signals it sends itself would be ignored.

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};

/// How often, and how far apart in milliseconds, the namespace looks whether what outlives the command ends by itself (the
/// `tee` of `exec > >(tee log)` still has lines to write).
const GRACE: (u32, u32) = (40, 5);

/// Returns in a new process; the calling one stays here until the command's end and passes its status on (128 + signal when
/// it was killed).
pub(super) fn descend() -> nix::Result<()> {
    if let ForkResult::Parent { child } = fork_once()? {
        wait_and_exit(child, false);
    }
    // Whoever kills the waiting parent ends the namespace.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if let ForkResult::Parent { child } = fork_once()? {
        wait_and_exit(child, true);
    }
    // `kill 0` in the command is not for the two that wait.
    setsid().map(drop)
}

fn fork_once() -> nix::Result<ForkResult> {
    // SAFETY: both sides go on with system calls only.
    #[expect(unsafe_code, reason = "the first process of the namespace must be forked before exec")]
    unsafe {
        fork()
    }
}

fn wait_and_exit(child: Pid, grace: bool) -> ! {
    close_all();
    let status = loop {
        match waitpid(None::<Pid>, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => break status,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => break 128 + signal as i32,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => break 127,
        }
    };
    if grace {
        let (times, milliseconds) = GRACE;
        for _ in 0..times {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(milliseconds)));
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    // SAFETY: ends the process without running anything of the program it was forked from.
    #[expect(unsafe_code, reason = "exit handlers belong to the process that was forked")]
    unsafe {
        libc::_exit(status)
    }
}

/// Closes every descriptor: the pipes shall have no writer but the command, and the caller waits for one that closes on exec.
fn close_all() {
    // SAFETY: nothing in this process uses a descriptor any more.
    #[expect(unsafe_code, reason = "descriptors of the process that was forked have no owner here")]
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0_u32, u32::MAX, 0_u32) != 0 {
            for number in 0..1024 {
                libc::close(number);
            }
        }
    }
}
