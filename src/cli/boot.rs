//! `kiln boot`: starts an image in QEMU and waits for a text on its serial console.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8PathBuf;
use regex::bytes::{Regex, RegexBuilder};

use crate::vm::{self, Accelerator, Arch, DiskFormat, Machine, Report, VmError};

/// Starts an image in QEMU, shows its serial console, and ends when a text appears there. The image is not written.
#[derive(Clone, Debug, clap::Args)]
pub struct BootArgs {
    /// The image
    image: Utf8PathBuf,
    /// A further disk of the machine; may be given several times
    #[arg(long = "disk", value_name = "IMAGE")]
    disks: Vec<Utf8PathBuf>,
    /// Boot by UEFI instead of a BIOS (arm64 always does)
    #[arg(long)]
    uefi: bool,
    /// Boot by UEFI with Secure Boot on and Microsoft's keys enrolled, as PCs are sold
    #[arg(long)]
    secure_boot: bool,
    /// Regular expression that ends the run with status 0; `^` and `$` match at lines
    #[arg(long, value_name = "REGEX", default_value = "login: $", value_parser = pattern)]
    until: Regex,
    /// Seconds to wait for it
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Memory of the machine, MiB
    #[arg(long, value_name = "MiB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..))]
    memory: u32,
    /// Bytes per sector of the machine's disk: 512 or 4096
    #[arg(long, value_name = "BYTES", default_value_t = 512, value_parser = sector_size)]
    sector_size: u32,
    /// Format of the image [default: told by its first bytes]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Architecture of the image: amd64 or arm64
    #[arg(short = 'a', long, default_value_t = super::meaning::host_arch())]
    arch: String,
}

/// Words for an image's format.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Raw,
    Qcow2,
    Vhd,
    Vhdx,
    Vmdk,
}

impl From<Format> for DiskFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Raw => Self::Raw,
            Format::Qcow2 => Self::Qcow2,
            Format::Vhd => Self::Vhd,
            Format::Vhdx => Self::Vhdx,
            Format::Vmdk => Self::Vmdk,
        }
    }
}

fn sector_size(text: &str) -> Result<u32, String> {
    match text {
        "512" => Ok(512),
        "4096" => Ok(4096),
        _ => Err("a sector has 512 or 4096 bytes".to_owned()),
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).multi_line(true).build().map_err(|error| error.to_string())
}

/// Carries `kiln boot` out. Status 0 when the text appeared, 130 when interrupted, else 1.
pub fn run(args: BootArgs) -> ExitCode {
    let terminal = std::io::stdout().is_terminal();
    let mut shown = false;
    let mut report = |report: Report<'_>| match report {
        Report::Console { raw, plain } => {
            let text = if terminal { raw } else { plain };
            shown |= !text.is_empty();
            show(text);
        }
        Report::Note(text) => eprintln!("kiln: {text}"),
    };
    let booted = machine(&args)
        .and_then(|machine| vm::boot(&machine, &args.until, Duration::from_secs(args.timeout), &mut report));
    match (shown, terminal) {
        // The guest may have left colours on and the cursor hidden.
        (true, true) => show(b"\x1b[0m\x1b[?25h\n"),
        (true, false) => show(b"\n"),
        (false, _) => {}
    }
    match booted {
        Ok(booted) => {
            let how = match booted.accelerator {
                Accelerator::Kvm => "KVM",
                Accelerator::Tcg => "emulation",
            };
            eprintln!("kiln: {} booted in {:.1} s ({how})", args.image, booted.time.as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kiln: {error}");
            ExitCode::from(if matches!(error, VmError::Interrupted) { 130 } else { 1 })
        }
    }
}

/// Writes to standard output. A reader that went away (`| head`) does not matter: the text that is waited for decides.
fn show(text: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text).and_then(|()| stdout.flush());
}

fn machine(args: &BootArgs) -> Result<Machine, VmError> {
    let arch = Arch::named(&args.arch)?;
    let detected = DiskFormat::detect(&args.image)?;
    let further = args.disks.iter().map(|image| Ok((image.clone(), DiskFormat::detect(image)?)));
    let more = further.collect::<Result<Vec<_>, VmError>>()?;
    let firmware = match args.uefi || args.secure_boot || arch == Arch::Arm64 {
        true => Some(vm::find_firmware(arch, args.secure_boot, "/".into())?),
        false => None,
    };
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get().min(2) as u32);
    Ok(Machine {
        image: args.image.clone(),
        format: args.format.map_or(detected, Into::into),
        more,
        arch,
        firmware,
        sector_size: args.sector_size,
        memory: args.memory,
        processors,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        boot: BootArgs,
    }

    #[test]
    fn the_default_waits_for_a_login_prompt() {
        let words = Words::try_parse_from(["boot", "x.qcow2"]).unwrap();
        assert!(words.boot.until.is_match(b"\nDebian GNU/Linux 12 debian ttyS0\n\ndebian login: "));
        assert!(!words.boot.until.is_match(b"debian login: root\n"));
        assert_eq!((words.boot.timeout, words.boot.memory), (300, 1024));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_at_once() {
        let error = Words::try_parse_from(["boot", "x", "--until", "("]).unwrap_err();
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }

    #[test]
    fn an_image_that_is_not_there_is_told() {
        let words = Words::try_parse_from(["boot", "/nonexistent/x.raw"]).unwrap();
        let error = machine(&words.boot).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x.raw"), "{error}");
    }
}
