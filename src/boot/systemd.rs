//! systemd-boot in the tree, with entries of type 1 or unified kernel images (UAPI group, "Boot Loader Specification").
//!
//! In: a tree with `systemd-boot-efi`, kernels in /boot and `/etc/kernel/cmdline`, the layout. Out: the EFI system partition's folder
//! with the loader and one entry a kernel. Kernels are copied: the loader reads no file system but FAT. Not here: how long the menu
//! waits and what the kernel is told beside its root (the element writes both), sections of a program (`pe`).

use camino::{Utf8Path, Utf8PathBuf};

use super::BootFiles;
use super::error::BootError;
use super::pe::{self, Section};
use super::platform::ESP;
use super::{files, root};
use crate::disk::layout::Layout;
use crate::event::Events;

/// Where the package puts loader and stub.
const PROGRAMS: &str = "/usr/lib/systemd/boot/efi";
const PACKAGE: &str = "systemd-boot-efi";

/// How a kernel becomes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// A text file that names kernel, initramfs and arguments.
    Type1,
    /// One UEFI program of all three.
    Unified,
}

/// A kernel of the image.
struct Kernel {
    version: String,
    image: Utf8PathBuf,
    initramfs: Utf8PathBuf,
}

/// See [`super::configure`].
pub(super) fn configure(
    tree: &Utf8Path,
    layout: &Layout,
    arch: &str,
    entries: Entries,
    events: &Events,
) -> Result<BootFiles, BootError> {
    let suffix = match arch {
        "amd64" | "x86_64" => "x64",
        "arm64" | "aarch64" => "aa64",
        _ => return Err(BootError::UnknownArchitecture { arch: arch.to_owned() }),
    };
    let disk = layout.at("/").and_then(|root| layout.disk_of(&root.device)).ok_or(BootError::NoRoot)?;
    if layout.at(ESP).is_none() {
        let (disk, arch) = (disk.name.clone(), arch.to_owned());
        return Err(BootError::NoPlace { disk, arch, reason: "systemd-boot needs an EFI system partition" });
    }
    let kernels = kernels(tree)?;
    let command_line = command_line(tree, layout)?;
    let mut made = BootFiles::default();
    let loader = program(tree, &format!("systemd-boot{suffix}.efi"))?;
    for path in [format!("EFI/BOOT/BOOT{}.EFI", suffix.to_uppercase()), format!("EFI/systemd/systemd-boot{suffix}.efi")]
    {
        made.efi.push(put(tree, &path, &loader)?);
    }
    let release = files::read_maybe(tree, "/usr/lib/os-release")?;
    let fact = |name: &str| os_release(&release, name);
    let id = fact("ID").unwrap_or_else(|| "linux".to_owned());
    for kernel in &kernels {
        events.info(format!("systemd-boot entry for Linux {}", kernel.version));
        let version = &kernel.version;
        let (image, initramfs) = (files::read(&kernel.image)?, files::read(&kernel.initramfs)?);
        match entries {
            Entries::Type1 => {
                let folder = format!("{id}/{version}");
                put(tree, &format!("{folder}/linux"), &image)?;
                put(tree, &format!("{folder}/initrd.img"), &initramfs)?;
                let title = fact("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
                let entry = format!(
                    "title {title}\nversion {version}\noptions {command_line}\nlinux /{folder}/linux\ninitrd /{folder}/initrd.img\n"
                );
                put(tree, &format!("loader/entries/{id}-{version}.conf"), entry.as_bytes())?;
            }
            Entries::Unified => {
                let stub_name = format!("linux{suffix}.efi.stub");
                let stub = program(tree, &stub_name)?;
                let sections = [
                    Section { name: ".osrel", data: release.as_bytes() },
                    Section { name: ".cmdline", data: command_line.as_bytes() },
                    Section { name: ".uname", data: version.as_bytes() },
                    Section { name: ".initrd", data: &initramfs },
                    Section { name: ".linux", data: &image },
                ];
                let unified = pe::with_sections(&stub, &sections).map_err(|reason| BootError::Malformed {
                    path: format!("{PROGRAMS}/{stub_name}").into(),
                    reason,
                })?;
                made.efi.push(put(tree, &format!("EFI/Linux/{id}-{version}.efi"), &unified)?);
            }
        }
    }
    Ok(made)
}

/// The image's kernels that have an initramfs, the newest first.
fn kernels(tree: &Utf8Path) -> Result<Vec<Kernel>, BootError> {
    let boot = tree.join("boot");
    let mut kernels = Vec::new();
    for name in files::names(&boot)? {
        let Some(version) = name.strip_prefix("vmlinuz-") else { continue };
        // Debian's and Fedora's names.
        let names = [format!("initrd.img-{version}"), format!("initramfs-{version}.img")];
        let initramfs = names.iter().map(|name| boot.join(name)).find(|path| files::is_file(path));
        if let (Some(initramfs), true) = (initramfs, files::is_file(&boot.join(&name))) {
            kernels.push(Kernel { version: version.to_owned(), image: boot.join(&name), initramfs });
        }
    }
    if kernels.is_empty() {
        let path = "/boot/vmlinuz-* with its initramfs".to_owned();
        return Err(BootError::MissingPackage { path, package: "linux-image-amd64".to_owned() });
    }
    Ok(kernels)
}

/// What the kernel is started with: the image's `/etc/kernel/cmdline`, and where its root is unless that says it.
fn command_line(tree: &Utf8Path, layout: &Layout) -> Result<String, BootError> {
    let written = files::read_maybe(tree, "/etc/kernel/cmdline")?;
    let mut words: Vec<String> = written.split_whitespace().map(str::to_owned).collect();
    if !words.iter().any(|word| word.starts_with("root=")) {
        words.splice(0..0, root::arguments(layout));
    }
    Ok(words.join(" "))
}

/// One of the package's programs; a signed one when there is one.
fn program(tree: &Utf8Path, name: &str) -> Result<Vec<u8>, BootError> {
    let folder = tree.join(PROGRAMS.trim_start_matches('/'));
    let signed = folder.join(format!("{name}.signed"));
    let path = if files::is_file(&signed) { signed } else { folder.join(name) };
    if !files::is_file(&path) {
        let path = format!("{PROGRAMS}/{name}");
        return Err(BootError::MissingPackage { path, package: PACKAGE.to_owned() });
    }
    files::read(&path)
}

/// Writes a file on the EFI system partition; its path inside the image.
fn put(tree: &Utf8Path, path: &str, content: &[u8]) -> Result<Utf8PathBuf, BootError> {
    let inside = Utf8PathBuf::from(format!("{ESP}/{path}"));
    let folder = files::folder(tree, inside.parent().unwrap_or(Utf8Path::new(ESP)).as_str())?;
    files::write(&folder.join(inside.file_name().unwrap_or_default()), content)?;
    Ok(inside)
}

/// A value of os-release(5).
pub(super) fn os_release(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::platform::tests::layout;
    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let fixture = Self { folder: tempfile::tempdir().unwrap() };
            fixture.write("boot/vmlinuz-6.1.0-1-amd64", b"kernel");
            fixture.write("boot/initrd.img-6.1.0-1-amd64", b"initramfs");
            fixture.write("boot/vmlinuz-6.1.0-0-amd64", b"without initramfs");
            fixture.write("usr/lib/os-release", b"PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n");
            fixture.write("etc/kernel/cmdline", b"console=ttyS0 quiet\n");
            fixture.write("usr/lib/systemd/boot/efi/systemd-bootx64.efi", b"loader");
            fixture.write("usr/lib/systemd/boot/efi/linuxx64.efi.stub", &super::super::pe::tests::program());
            fixture
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.folder.path()).unwrap().join(name)
        }

        fn write(&self, name: &str, content: &[u8]) {
            std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            std::fs::write(self.path(name), content).unwrap();
        }

        fn configure(&self, name: &str, entries: Entries) -> Result<BootFiles, BootError> {
            configure(&self.path(""), &layout(name), "amd64", entries, &Events::none())
        }
    }

    #[test]
    fn an_entry_names_kernel_initramfs_and_root() {
        let fixture = Fixture::new();
        let made = fixture.configure("efi", Entries::Type1).unwrap();
        assert_eq!(made.efi[0], "/boot/efi/EFI/BOOT/BOOTX64.EFI");
        assert_eq!(std::fs::read(fixture.path("boot/efi/EFI/BOOT/BOOTX64.EFI")).unwrap(), b"loader");
        let entry = std::fs::read_to_string(fixture.path("boot/efi/loader/entries/debian-6.1.0-1-amd64.conf")).unwrap();
        assert_eq!(
            entry,
            "title Debian GNU/Linux 12\nversion 6.1.0-1-amd64\noptions root=LABEL=cloudimg-rootfs ro console=ttyS0 quiet\n\
             linux /debian/6.1.0-1-amd64/linux\ninitrd /debian/6.1.0-1-amd64/initrd.img\n"
        );
        assert_eq!(std::fs::read(fixture.path("boot/efi/debian/6.1.0-1-amd64/linux")).unwrap(), b"kernel");
    }

    #[test]
    fn a_unified_image_holds_all_three() {
        let fixture = Fixture::new();
        fixture.write("etc/kernel/cmdline", b"root=/dev/vda3 quiet");
        let made = fixture.configure("efi", Entries::Unified).unwrap();
        let image = std::fs::read(fixture.path(made.efi.last().unwrap().as_str().trim_start_matches('/'))).unwrap();
        let has = |text: &[u8]| image.windows(text.len()).any(|window| window == text);
        assert!(has(b"root=/dev/vda3 quiet") && has(b".linux\0\0") && has(b"kernel") && has(b"initramfs"));
        assert!(!has(b"LABEL="));
    }

    #[test]
    fn what_is_missing_is_said() {
        let fixture = Fixture::new();
        let error = fixture.configure("gpt", Entries::Type1).unwrap_err().to_string();
        assert!(error.contains("needs an EFI system partition"), "{error}");
        std::fs::remove_file(fixture.path("usr/lib/systemd/boot/efi/systemd-bootx64.efi")).unwrap();
        let error = fixture.configure("efi", Entries::Type1).unwrap_err().to_string();
        assert!(error.contains("systemd-boot-efi"), "{error}");
        std::fs::remove_file(fixture.path("boot/initrd.img-6.1.0-1-amd64")).unwrap();
        let error = fixture.configure("efi", Entries::Type1).unwrap_err().to_string();
        assert!(error.contains("/boot/vmlinuz-*"), "{error}");
    }
}
