//! Which signals ask this program to end.
//!
//! In: what whoever started the program had it ignore. Out: the rest of SIGINT, SIGTERM and SIGHUP. Not here: what a signal does.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The signals to listen for. One that is ignored stays ignored, here and in hooks: nohup(1) and the background jobs of a script rely
/// on it.
pub fn that_end() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
}

/// The signals that a process with this `/proc/PID/status` ignores: bit 0 is signal 1 (proc(5), `SigIgn`).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mask_is_that_of_the_status() {
        let status = "Name:\tkiln\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000400\n";
        assert_eq!(super::ignored(status), 0x1003);
        assert_eq!(super::ignored(""), 0);
    }
}
