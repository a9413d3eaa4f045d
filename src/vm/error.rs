//! Why an image was not seen to boot.

use camino::Utf8PathBuf;

/// Why an image was not seen to boot.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// No QEMU.
    #[error(
        "cannot start `{program}`: it is not installed; install the package {package} (`apt-get install \
         --no-install-recommends {package}`; a machine with packages from a backports suite needs `-t RELEASE-backports` too)"
    )]
    NoEmulator {
        /// The program.
        program: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// No UEFI firmware.
    #[error(
        "cannot boot {wish}: no firmware for it was found in {looked_at}; install the package {package} (its name in Debian)"
    )]
    NoFirmware {
        /// How it was to boot.
        wish: &'static str,
        /// The files looked for.
        looked_at: String,
        /// Debian's package.
        package: &'static str,
    },
    /// No such architecture.
    #[error("cannot boot an image for `{arch}`; kiln boots amd64 and arm64")]
    UnknownArchitecture {
        /// The name given.
        arch: String,
    },
    /// The image cannot be read.
    #[error("cannot read the image {path}: {source}")]
    Image {
        /// The image.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// QEMU could not be started or watched.
    #[error("cannot run `{program}`: {source}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The text did not come.
    #[error(
        "the guest did not print text that matches `{pattern}` within {seconds} s{}; `--timeout` gives it more time",
        last_line(.last)
    )]
    TimedOut {
        /// The pattern.
        pattern: String,
        /// The limit.
        seconds: u64,
        /// The last line of the console.
        last: String,
    },
    /// The guest cannot go on.
    #[error("the guest cannot go on: {reason}{}", last_line(.last))]
    Doomed {
        /// What it means.
        reason: &'static str,
        /// The last line of the console.
        last: String,
    },
    /// QEMU ended.
    #[error("the guest ended (QEMU's status {status}) before it printed text that matches `{pattern}`{}{}",
        last_line(.last), said(.complaints))]
    Ended {
        /// QEMU's exit status.
        status: i32,
        /// The pattern.
        pattern: String,
        /// The last line of the console.
        last: String,
        /// What QEMU wrote to standard error.
        complaints: Vec<String>,
    },
    /// KVM does not carry the guest out; told to the caller only, who tries without it.
    #[error("KVM does not run this guest ({reason})")]
    KvmUnusable {
        /// How it was noticed.
        reason: String,
    },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

fn last_line(line: &str) -> String {
    if line.is_empty() { "; its console stayed empty".to_owned() } else { format!("; its last line was: {line}") }
}

fn said(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; QEMU said:\n  {}", lines.join("\n  ")) }
}
