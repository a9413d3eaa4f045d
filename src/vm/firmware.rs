//! Finds UEFI firmware for QEMU.
//!
//! In: an architecture. Out: the read-only code and the template of its variables. Not here: how QEMU is told.

use camino::{Utf8Path, Utf8PathBuf};

use super::error::VmError;
use super::machine::Arch;

/// Firmware as two flash images of the same build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The code.
    pub code: Utf8PathBuf,
    /// The variables it starts with; a guest gets a copy.
    pub variables: Utf8PathBuf,
}

/// Where distributions put it, the most common first.
fn places(arch: Arch) -> &'static [(&'static str, &'static str)] {
    match arch {
        Arch::Amd64 => &[
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
            ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
            ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
            ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
        ],
        Arch::Arm64 => &[
            ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
            ("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"),
            ("/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
        ],
    }
}

/// The first firmware whose two files are below `host` (`/`).
///
/// # Errors
/// When there is none.
pub fn find(arch: Arch, host: &Utf8Path) -> Result<Firmware, VmError> {
    let at = |path: &str| host.join(path.trim_start_matches('/'));
    places(arch)
        .iter()
        .map(|(code, variables)| Firmware { code: at(code), variables: at(variables) })
        .find(|firmware| firmware.code.is_file() && firmware.variables.is_file())
        .ok_or_else(|| VmError::NoFirmware {
            looked_at: places(arch).iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", "),
            package: match arch {
                Arch::Amd64 => "ovmf",
                Arch::Arm64 => "qemu-efi-aarch64",
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_without_variables_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let host = Utf8Path::from_path(folder.path()).unwrap();
        let share = host.join("usr/share/OVMF");
        std::fs::create_dir_all(&share).unwrap();
        for name in ["OVMF_CODE_4M.fd", "OVMF_CODE.fd", "OVMF_VARS.fd"] {
            std::fs::write(share.join(name), "").unwrap();
        }
        assert_eq!(find(Arch::Amd64, host).unwrap().code, share.join("OVMF_CODE.fd"));
    }

    #[test]
    fn no_firmware_is_an_error_that_names_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Arch::Amd64, Utf8Path::from_path(folder.path()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("package ovmf"), "{error}");
    }
}
