//! A distribution's own signed shim and GRUB, for firmware with Secure Boot switched on.
//!
//! In: a tree with Debian's `shim-signed` and `grub-efi-amd64-signed` (or its siblings), where GRUB's folder is. Out: both at the removable
//! path of the EFI system partition, and the few lines that lead the signed GRUB to its configuration. Firmware trusts the shim, the
//! shim trusts this GRUB, and that one the distribution's kernels. Not here: signing.

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BootError;
use super::files;
use super::platform::{ESP, Platform};

/// What of the packages goes where. Paths inside the image.
struct Signed {
    shim: Utf8PathBuf,
    grub: Utf8PathBuf,
    /// Enrols keys of the machine's owner; there with every shim.
    manager: Utf8PathBuf,
    suffix: &'static str,
}

impl Signed {
    /// The packages' programs for `platform`; `None` when one of them is not in the image.
    fn find(tree: &Utf8Path, platform: Platform) -> Option<Self> {
        let suffix = match platform {
            Platform::EfiAmd64 => "x64",
            Platform::EfiArm64 => "aa64",
            Platform::Bios | Platform::EfiI386 => return None,
        };
        let name = platform.name();
        let signed = Self {
            shim: format!("/usr/lib/shim/shim{suffix}.efi.signed").into(),
            grub: format!("/usr/lib/grub/{name}-signed/grub{suffix}.efi.signed").into(),
            manager: format!("/usr/lib/shim/mm{suffix}.efi.signed").into(),
            suffix,
        };
        let there = |path: &Utf8Path| files::is_file(&tree.join(path.as_str().trim_start_matches('/')));
        (there(&signed.shim) && there(&signed.grub)).then_some(signed)
    }
}

/// Puts shim and GRUB at the removable path `program`. The paths of the programs; `None` when the image has no signed ones.
pub(super) fn install(
    tree: &Utf8Path,
    platform: Platform,
    program: &str,
) -> Result<Option<Vec<Utf8PathBuf>>, BootError> {
    let Some(signed) = Signed::find(tree, platform) else { return Ok(None) };
    let folder = files::folder(tree, &format!("{ESP}/EFI/BOOT"))?;
    let mut made = Vec::new();
    let suffix = signed.suffix;
    let copies = [
        (&signed.shim, program.to_owned()),
        (&signed.grub, format!("grub{suffix}.efi")),
        (&signed.manager, format!("mm{suffix}.efi")),
    ];
    for (from, name) in copies {
        let from = tree.join(from.as_str().trim_start_matches('/'));
        if files::is_file(&from) {
            files::copy(&from, &folder.join(&name))?;
            made.push(format!("{ESP}/EFI/BOOT/{name}").into());
        }
    }
    Ok(Some(made))
}

/// Writes `configuration`, which a signed GRUB reads first, where it looks for it.
pub(super) fn lead(tree: &Utf8Path, configuration: &str) -> Result<(), BootError> {
    // The folder is part of the signed program.
    let release = files::read_maybe(tree, "/usr/lib/os-release")?;
    let vendor = super::systemd::os_release(&release, "ID").unwrap_or_else(|| "debian".to_owned());
    let folder = files::folder(tree, &format!("{ESP}/EFI/{vendor}"))?;
    files::write(&folder.join("grub.cfg"), configuration.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shim_and_grub_go_to_the_removable_path_and_the_vendor_folder_leads_on() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Utf8Path::from_path(folder.path()).unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
            std::fs::write(tree.join(path), text).unwrap();
        };
        write("usr/lib/os-release", "ID=debian\n");
        write("usr/lib/shim/shimx64.efi.signed", "shim");
        let install = || install(tree, Platform::EfiAmd64, "BOOTX64.EFI").unwrap();
        assert_eq!(install(), None, "a shim without a signed GRUB starts nothing");
        write("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub");
        assert_eq!(install().unwrap(), ["/boot/efi/EFI/BOOT/BOOTX64.EFI", "/boot/efi/EFI/BOOT/grubx64.efi"]);
        lead(tree, "configfile $prefix/grub.cfg\n").unwrap();
        let read = |path: &str| std::fs::read_to_string(tree.join(path)).unwrap();
        assert_eq!(read("boot/efi/EFI/BOOT/BOOTX64.EFI"), "shim");
        assert_eq!(read("boot/efi/EFI/debian/grub.cfg"), "configfile $prefix/grub.cfg\n");
    }
}
