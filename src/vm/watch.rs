//! Judges a running guest: is it there yet, is it lost, is it only KVM that is broken.
//!
//! In: what happens, with its time. Out: a [`Verdict`], and until when nothing may happen without being judged. Pure: no clock, no
//! process.

use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::console::Console;

/// A guest in a working KVM writes its first byte (GRUB's menu) within 2 s. In a machine whose nested KVM is broken it
/// writes none, ever, and QEMU does not end.
pub const SILENCE_BEFORE_OUTPUT: Duration = Duration::from_secs(8);

/// Later a guest may wait in silence for a device or a service, seldom for so long.
pub const SILENCE_AFTER_OUTPUT: Duration = Duration::from_secs(60);

/// Texts after which no login prompt comes, and what they mean.
const DOOM: [(&str, &str); 8] = [
    ("Kernel panic - not syncing", "its kernel panicked"),
    ("grub rescue> ", "GRUB did not find its folder /boot/grub"),
    ("\n(initramfs) ", "its initial RAM file system did not find the root file system"),
    ("You are in emergency mode", "systemd could not mount what /etc/fstab asks for, or start something as necessary"),
    (
        "): Access Denied",
        "Secure Boot is on, and no enrolled key has signed its boot loader; Debian's is in shim-signed",
    ),
    ("Security Violation", "Secure Boot is on, and shim does not know who signed what it is to start"),
    ("bad shim signature", "Secure Boot is on, and GRUB was to start a kernel that the distribution has not signed"),
    ("BdsDxe: No bootable option or device was found", "the UEFI firmware found nothing to boot"),
];

/// How a guest's instructions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the processor.
    Kvm,
    /// By QEMU.
    Tcg,
}

/// What is known about a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It printed the text.
    Reached,
    /// It will not print the text.
    Doomed(&'static str),
    /// QEMU ended with this status.
    Ended(i32),
    /// The time is up.
    TimedOut,
    /// Another accelerator may do better.
    KvmUnusable(String),
}

/// Watches one guest.
#[derive(Debug)]
pub struct Watch<'a> {
    accelerator: Accelerator,
    until: &'a Regex,
    console: Console,
    deadline: Instant,
    heard: Instant,
    silent: bool,
}

impl<'a> Watch<'a> {
    /// A guest started at `now`, with this much time to print text that matches `until`.
    pub fn new(accelerator: Accelerator, until: &'a Regex, limit: Duration, now: Instant) -> Self {
        let console = Console::default();
        Self { accelerator, until, console, deadline: now + limit, heard: now, silent: true }
    }

    /// The guest wrote to its console. The bytes as plain text, and what they mean.
    pub fn wrote(&mut self, bytes: &[u8], now: Instant) -> (Vec<u8>, Option<Verdict>) {
        self.heard = now;
        self.silent = false;
        let plain = self.console.feed(bytes);
        let verdict = if self.console.shows(self.until) {
            Some(Verdict::Reached)
        } else {
            let doom = DOOM.iter().find(|(words, _)| self.console.holds(words));
            doom.map(|(_, reason)| self.or_kvm(Verdict::Doomed(reason), reason))
        };
        (plain, verdict)
    }

    /// QEMU wrote a line to standard error.
    pub fn complained(&self, line: &str) -> Option<Verdict> {
        let broken = line.contains("KVM internal error") || line.contains("failed to initialize kvm");
        (self.accelerator == Accelerator::Kvm && broken).then(|| Verdict::KvmUnusable(line.trim().to_owned()))
    }

    /// QEMU ended. A guest that only wanted to restart does so under TCG; under KVM QEMU is told to end instead, since a
    /// triple fault looks the same.
    pub fn ended(&self, status: i32, complaints: &[String]) -> Verdict {
        let reason = complaints.last().cloned().unwrap_or_else(|| format!("the guest ended with status {status}"));
        self.or_kvm(Verdict::Ended(status), &reason)
    }

    /// Nothing happened until `now`.
    pub fn quiet(&self, now: Instant) -> Option<Verdict> {
        if now >= self.deadline {
            return Some(Verdict::TimedOut);
        }
        (now >= self.wake()).then(|| {
            let seconds = now.duration_since(self.heard).as_secs();
            Verdict::KvmUnusable(format!("the guest has written nothing for {seconds} s"))
        })
    }

    /// When to ask [`Self::quiet`] at the latest.
    pub fn wake(&self) -> Instant {
        if self.accelerator == Accelerator::Tcg {
            return self.deadline;
        }
        let patience = if self.silent { SILENCE_BEFORE_OUTPUT } else { SILENCE_AFTER_OUTPUT };
        self.deadline.min(self.heard + patience)
    }

    /// The last line of the console.
    pub fn last_line(&self) -> String {
        self.console.last_line()
    }

    fn or_kvm(&self, verdict: Verdict, reason: &str) -> Verdict {
        match self.accelerator {
            Accelerator::Kvm => Verdict::KvmUnusable(reason.to_owned()),
            Accelerator::Tcg => verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    fn login() -> Regex {
        Regex::new("(?m)login: $").unwrap()
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_prompt_is_the_goal_under_both() {
        let (login, now) = (login(), Instant::now());
        for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
            let mut watch = Watch::new(accelerator, &login, LIMIT, now);
            assert_eq!(watch.wrote(b"booting\r\n", now).1, None);
            assert_eq!(watch.wrote(b"debian login: ", now).1, Some(Verdict::Reached));
        }
    }

    #[test]
    fn a_guest_that_never_speaks_in_kvm_gets_another_chance() {
        let (login, now) = (login(), Instant::now());
        let watch = Watch::new(Accelerator::Kvm, &login, LIMIT, now);
        assert_eq!(watch.wake(), after(now, 8));
        assert_eq!(watch.quiet(after(now, 7)), None);
        assert!(matches!(watch.quiet(after(now, 8)), Some(Verdict::KvmUnusable(_))));
    }

    #[test]
    fn a_guest_that_has_spoken_may_be_silent_for_longer() {
        let (login, now) = (login(), Instant::now());
        let mut watch = Watch::new(Accelerator::Kvm, &login, LIMIT, now);
        watch.wrote(b"Loading Linux", after(now, 5));
        assert_eq!(watch.quiet(after(now, 64)), None);
        assert!(matches!(watch.quiet(after(now, 65)), Some(Verdict::KvmUnusable(_))));
    }

    #[test]
    fn emulation_has_its_whole_time() {
        let (login, now) = (login(), Instant::now());
        let watch = Watch::new(Accelerator::Tcg, &login, LIMIT, now);
        assert_eq!(watch.quiet(after(now, 299)), None);
        assert_eq!(watch.quiet(after(now, 300)), Some(Verdict::TimedOut));
    }

    #[test]
    fn the_limit_counts_under_kvm_too() {
        let (login, now) = (login(), Instant::now());
        let watch = Watch::new(Accelerator::Kvm, &login, Duration::from_secs(5), now);
        assert_eq!(watch.quiet(after(now, 5)), Some(Verdict::TimedOut));
    }

    #[test]
    fn the_end_of_qemu_is_final_only_without_kvm() {
        let (login, now) = (login(), Instant::now());
        let complaints = ["qemu: Assertion failed.".to_owned()];
        let watch = Watch::new(Accelerator::Kvm, &login, LIMIT, now);
        assert_eq!(watch.ended(134, &complaints), Verdict::KvmUnusable(complaints[0].clone()));
        let watch = Watch::new(Accelerator::Tcg, &login, LIMIT, now);
        assert_eq!(watch.ended(0, &[]), Verdict::Ended(0));
    }

    #[test]
    fn an_internal_error_of_kvm_is_noticed_while_qemu_still_runs() {
        let (login, now) = (login(), Instant::now());
        let line = "KVM internal error. Suberror: 1";
        let watch = Watch::new(Accelerator::Kvm, &login, LIMIT, now);
        assert_eq!(watch.complained(line), Some(Verdict::KvmUnusable(line.into())));
        assert_eq!(watch.complained("warning: host doesn't support requested feature"), None);
        assert_eq!(Watch::new(Accelerator::Tcg, &login, LIMIT, now).complained(line), None);
    }

    #[test]
    fn a_panic_ends_the_waiting() {
        let (login, now) = (login(), Instant::now());
        let panic = b"[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs";
        let mut watch = Watch::new(Accelerator::Tcg, &login, LIMIT, now);
        assert_eq!(watch.wrote(panic, now).1, Some(Verdict::Doomed("its kernel panicked")));
        let mut watch = Watch::new(Accelerator::Kvm, &login, LIMIT, now);
        assert!(matches!(watch.wrote(panic, now).1, Some(Verdict::KvmUnusable(_))));
    }

    #[test]
    fn an_emergency_shell_ends_the_waiting() {
        let (login, now) = (login(), Instant::now());
        let mut watch = Watch::new(Accelerator::Tcg, &login, LIMIT, now);
        let said = b"\r\nYou are in emergency mode. After logging in, type \"journalctl -xb\" to view\r\nsystem logs";
        let Some(Verdict::Doomed(reason)) = watch.wrote(said, now).1 else { panic!("it goes on") };
        assert!(reason.contains("/etc/fstab"), "{reason}");
    }

    #[test]
    fn firmware_that_refuses_a_signature_is_told_from_one_that_finds_nothing() {
        let (login, now) = (login(), Instant::now());
        let mut watch = Watch::new(Accelerator::Tcg, &login, LIMIT, now);
        let refused =
            b"BdsDxe: failed to load Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0): Access Denied\n";
        let Some(Verdict::Doomed(reason)) = watch.wrote(refused, now).1 else { panic!("it goes on") };
        assert!(reason.contains("Secure Boot"), "{reason}");
    }

    #[test]
    fn a_text_of_doom_that_was_asked_for_is_the_goal() {
        let (panic, now) = (Regex::new("Kernel panic").unwrap(), Instant::now());
        let mut watch = Watch::new(Accelerator::Tcg, &panic, LIMIT, now);
        assert_eq!(watch.wrote(b"Kernel panic - not syncing", now).1, Some(Verdict::Reached));
    }
}
