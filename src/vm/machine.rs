//! What QEMU is told.
//!
//! In: an image and a wish. Out: an argument list. The image is opened read-only: what a guest writes goes into a file
//! without a name that ends with QEMU.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::VmError;
use super::firmware::Firmware;
use super::watch::Accelerator;

/// A processor's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Arch {
    /// By its name, in DIB's or the kernel's words.
    ///
    /// # Errors
    /// When it is another.
    pub fn named(name: &str) -> Result<Self, VmError> {
        match name {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            _ => Err(VmError::UnknownArchitecture { arch: name.to_owned() }),
        }
    }

    /// QEMU's program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// Debian's package of that program.
    pub fn package(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86",
            Self::Arm64 => "qemu-system-arm",
        }
    }
}

/// The format of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFormat {
    /// The disk's bytes.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// Hyper-V's newer one.
    Vhdx,
    /// Hyper-V's older one, dynamic.
    Vhd,
    /// VMware's.
    Vmdk,
}

impl DiskFormat {
    /// QEMU's name.
    fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhdx => "vhdx",
            Self::Vhd => "vpc",
            Self::Vmdk => "vmdk",
        }
    }

    /// The format that a file's first bytes tell; raw when they tell none.
    fn of(first: &[u8]) -> Self {
        let magics: [(&[u8], Self); 4] =
            [(b"QFI\xfb", Self::Qcow2), (b"vhdxfile", Self::Vhdx), (b"conectix", Self::Vhd), (b"KDMV", Self::Vmdk)];
        magics.iter().find(|(magic, _)| first.starts_with(magic)).map_or(Self::Raw, |(_, format)| *format)
    }

    /// The format of the file `image`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn detect(image: &Utf8Path) -> Result<Self, VmError> {
        let read = || {
            let mut first = Vec::new();
            std::fs::File::open(image)?.take(8).read_to_end(&mut first)?;
            Ok::<_, io::Error>(Self::of(&first))
        };
        read().map_err(|source| VmError::Image { path: image.to_owned(), source })
    }
}

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its disk.
    pub image: Utf8PathBuf,
    /// The disk's format.
    pub format: DiskFormat,
    /// Further disks.
    pub more: Vec<(Utf8PathBuf, DiskFormat)>,
    /// Its architecture.
    pub arch: Arch,
    /// UEFI firmware; `None` is a PC's BIOS.
    pub firmware: Option<Firmware>,
    /// Bytes per sector of its disks: 512 or 4096.
    pub sector_size: u32,
    /// Its memory, MiB.
    pub memory: u32,
    /// Its processors under KVM; an emulated machine has one.
    pub processors: u32,
}

impl Machine {
    /// QEMU's argument list.
    pub fn argv(&self, accelerator: Accelerator) -> Vec<String> {
        let secure = self.firmware.as_ref().is_some_and(|firmware| firmware.secure);
        let machine = match self.arch {
            // The keys are out of the guest's reach because only System Management Mode may write them.
            Arch::Amd64 if secure => "q35,smm=on",
            Arch::Amd64 => "q35",
            Arch::Arm64 => "virt",
        };
        // Emulated processors wait for each other's locks: on a busy host one boots sooner than two.
        let (name, processor, processors) = match accelerator {
            Accelerator::Kvm => ("kvm", "host", self.processors),
            Accelerator::Tcg => ("tcg", "max", 1),
        };
        let (memory, processors) = (self.memory.to_string(), processors.to_string());
        let sector = self.sector_size;
        let first = (self.image.clone(), self.format);
        let disks = std::iter::once(&first).chain(&self.more).enumerate().map(|(at, (image, format))| {
            let id = if at == 0 { "disk".to_owned() } else { format!("disk{at}") };
            [
                format!("file={},format={},if=none,id={id},snapshot=on", escaped(image), format.driver()),
                format!("virtio-blk-pci,drive={id},logical_block_size={sector},physical_block_size={sector}"),
            ]
        });
        let disks: Vec<[String; 2]> = disks.collect();
        let mut argv: Vec<&str> = vec![
            self.arch.program(),
            "-nodefaults",
            "-machine",
            machine,
            "-accel",
            name,
            "-cpu",
            processor,
            "-m",
            &memory,
            "-smp",
            &processors,
            "-display",
            "none",
            "-serial",
            "stdio",
            "-nic",
            "none",
            "-device",
            "virtio-rng-pci",
        ];
        for [drive, device] in &disks {
            argv.extend(["-drive", drive, "-device", device]);
        }
        if self.arch == Arch::Amd64 {
            // Without any display GRUB complains of missing video modes on the console.
            argv.extend(["-vga", "std"]);
        }
        if secure && self.arch == Arch::Amd64 {
            argv.extend(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
            // The firmware's code in System Management Mode would not survive a sleep.
            argv.extend(["-global", "ICH9-LPC.disable_s3=1"]);
        }
        if accelerator == Accelerator::Kvm {
            // A triple fault is a restart: it must end QEMU to be noticed.
            argv.push("-no-reboot");
        }
        let flash = self.firmware.as_ref().map(|firmware| {
            [
                format!("if=pflash,unit=0,format=raw,readonly=on,file={}", escaped(&firmware.code)),
                format!("if=pflash,unit=1,format=raw,snapshot=on,file={}", escaped(&firmware.variables)),
            ]
        });
        for drive in flash.iter().flatten() {
            argv.extend(["-drive", drive]);
        }
        argv.into_iter().map(str::to_owned).collect()
    }
}

/// A path in a list of options: a comma is written twice.
fn escaped(path: &Utf8Path) -> String {
    // QEMU takes `x:y` for a protocol and a relative name that begins with `-` for nothing special.
    let path = if path.is_absolute() { path.to_string() } else { format!("./{path}") };
    path.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            image: "a,b.qcow2".into(),
            format: DiskFormat::Qcow2,
            more: vec![("b.raw".into(), DiskFormat::Raw)],
            arch: Arch::Amd64,
            firmware: Some(Firmware { code: "/f/code".into(), variables: "/f/vars".into(), secure: false }),
            sector_size: 512,
            memory: 1024,
            processors: 2,
        }
    }

    #[test]
    fn nothing_that_a_guest_writes_reaches_a_file_of_the_user() {
        let argv = machine().argv(Accelerator::Tcg);
        let drives: Vec<&String> = argv.iter().filter(|word| word.contains("file=")).collect();
        assert_eq!(drives.len(), 4);
        assert!(
            drives.iter().all(|drive| drive.contains("snapshot=on") || drive.contains("readonly=on")),
            "{drives:?}"
        );
        assert_eq!(drives[0], "file=./a,,b.qcow2,format=qcow2,if=none,id=disk,snapshot=on");
        assert_eq!(drives[1], "file=./b.raw,format=raw,if=none,id=disk1,snapshot=on");
    }

    #[test]
    fn keys_are_written_in_system_management_mode_only() {
        let mut machine = machine();
        let has = |machine: &Machine, word: &str| machine.argv(Accelerator::Tcg).contains(&word.to_owned());
        let guard = "driver=cfi.pflash01,property=secure,value=on";
        assert!(!has(&machine, guard) && !has(&machine, "q35,smm=on"));
        machine.firmware.as_mut().unwrap().secure = true;
        assert!(has(&machine, guard) && has(&machine, "q35,smm=on"));
        machine.arch = Arch::Arm64;
        assert!(!has(&machine, guard) && has(&machine, "virt"));
    }

    #[test]
    fn a_guest_has_no_network() {
        let argv = machine().argv(Accelerator::Kvm);
        assert!(argv.windows(2).any(|pair| pair == ["-nic", "none"]));
    }

    #[test]
    fn only_under_kvm_a_restart_ends_qemu() {
        let has = |accelerator| machine().argv(accelerator).contains(&"-no-reboot".to_owned());
        assert!(has(Accelerator::Kvm) && !has(Accelerator::Tcg));
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (first, format) in [
            (&b"QFI\xfb\0\0\0\x03"[..], DiskFormat::Qcow2),
            (b"vhdxfile", DiskFormat::Vhdx),
            (b"conectix", DiskFormat::Vhd),
            (b"KDMV\x03\0\0\0", DiskFormat::Vmdk),
            (b"\xeb\x63\x90\0\0\0\0\0", DiskFormat::Raw),
            (b"", DiskFormat::Raw),
        ] {
            assert_eq!(DiskFormat::of(first), format);
        }
    }
}
