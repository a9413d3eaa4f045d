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
    /// Secure Boot is on: the code starts only what the keys in the variables have signed.
    pub secure: bool,
}

/// Where distributions put it, the most common first.
fn places(arch: Arch, secure: bool) -> &'static [(&'static str, &'static str)] {
    match (arch, secure) {
        (Arch::Amd64, false) => &[
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
            ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
            ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
            ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
        ],
        (Arch::Arm64, false) => &[
            ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
            ("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"),
            ("/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
        ],
        // Only variables with Microsoft's keys in them: those are what distributions' shims are signed for.
        (Arch::Amd64, true) => &[
            ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
            ("/usr/share/OVMF/OVMF_CODE.ms.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
            ("/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin", "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin"),
        ],
        (Arch::Arm64, true) => &[("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd")],
    }
}

/// The first firmware whose two files are below `host` (`/`); `secure` asks for one with Secure Boot switched on.
///
/// # Errors
/// When there is none.
pub fn find(arch: Arch, secure: bool, host: &Utf8Path) -> Result<Firmware, VmError> {
    let at = |path: &str| host.join(path.trim_start_matches('/'));
    let places = places(arch, secure);
    places
        .iter()
        .map(|(code, variables)| Firmware { code: at(code), variables: at(variables), secure })
        .find(|firmware| firmware.code.is_file() && firmware.variables.is_file())
        .ok_or_else(|| VmError::NoFirmware {
            wish: if secure { "by UEFI with Secure Boot" } else { "by UEFI" },
            looked_at: places.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", "),
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
        assert_eq!(find(Arch::Amd64, false, host).unwrap().code, share.join("OVMF_CODE.fd"));
    }

    #[test]
    fn no_firmware_is_an_error_that_names_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Arch::Amd64, false, Utf8Path::from_path(folder.path()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("package ovmf"), "{error}");
    }

    #[test]
    fn secure_boot_takes_no_firmware_without_keys() {
        let folder = tempfile::tempdir().unwrap();
        let host = Utf8Path::from_path(folder.path()).unwrap();
        let share = host.join("usr/share/OVMF");
        std::fs::create_dir_all(&share).unwrap();
        for name in ["OVMF_CODE_4M.ms.fd", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"] {
            std::fs::write(share.join(name), "").unwrap();
        }
        let error = find(Arch::Amd64, true, host).unwrap_err().to_string();
        assert!(error.contains("Secure Boot") && error.contains("OVMF_CODE_4M.ms.fd"), "{error}");
        std::fs::write(share.join("OVMF_VARS_4M.ms.fd"), "").unwrap();
        assert_eq!(find(Arch::Amd64, true, host).unwrap().variables, share.join("OVMF_VARS_4M.ms.fd"));
    }
}
