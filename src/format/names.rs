//! The formats, each declared once.

use super::UnknownFormat;

/// What a format is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The raw disk image.
    Raw,
    /// The finished tree.
    Tree,
}

/// A kind of file that kiln can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What the user calls it.
    pub name: &'static str,
    /// What follows `NAME.` in its file name.
    pub suffix: &'static str,
    /// What it is made from.
    pub source: Source,
    /// Programs of which the host must have one; none is needed when there are none.
    pub programs: &'static [&'static str],
    /// The Debian package that has the first of them.
    pub package: &'static str,
    /// One line for help texts.
    pub summary: &'static str,
}

impl Format {
    const fn disk(name: &'static str, summary: &'static str) -> Self {
        Self { name, suffix: name, source: Source::Raw, programs: &[], package: "", summary }
    }

    const fn tree(name: &'static str, summary: &'static str) -> Self {
        Self { source: Source::Tree, ..Self::disk(name, summary) }
    }

    /// One that qemu-img writes.
    const fn qemu(name: &'static str, summary: &'static str) -> Self {
        Self { programs: &["qemu-img"], package: "qemu-utils", ..Self::disk(name, summary) }
    }

    const fn called(self, suffix: &'static str) -> Self {
        Self { suffix, ..self }
    }
}

/// Every format, in the order in which help texts show them.
pub const FORMATS: [Format; 19] = [
    Format::disk("qcow2", "QEMU's image format, compressed"),
    Format::disk("raw", "the disk byte for byte, sparse"),
    Format::tree("tar", "the tree as an archive, without a disk"),
    Format::tree("tgz", "the same, compressed with gzip"),
    Format::tree("tar.zst", "the same, compressed with zstd"),
    Format {
        programs: &["mksquashfs"],
        package: "squashfs-tools",
        ..Format::tree("squashfs", "the tree as a read-only file system (NAME.squash)").called("squash")
    },
    Format {
        programs: &["mkfs.erofs"],
        package: "erofs-utils",
        ..Format::tree("erofs", "the tree as a read-only file system that is read faster")
    },
    Format::tree("aci", "an App Container image; ACI_MANIFEST names its manifest"),
    Format::tree("docker", "an archive that docker and podman load (NAME.docker.tar)").called("docker.tar"),
    Format::tree("oci", "an OCI image layout in an archive (NAME.oci.tar)").called("oci.tar"),
    Format::disk("vhd", "Virtual PC, Hyper-V, XenServer: dynamic VHD of exactly the disk's size"),
    Format::disk("vhd-fixed", "Azure: fixed VHD (NAME.fixed.vhd)").called("fixed.vhd"),
    Format::disk("vhdx", "Hyper-V"),
    Format::disk("vmdk", "VMware: streamOptimized"),
    Format::disk("vdi", "VirtualBox"),
    Format::qemu("vpc", "VHD with qemu-img's own defaults"),
    Format::qemu("qcow", "QEMU's first format"),
    Format::qemu("qed", "another former format of QEMU's"),
    Format::qemu("parallels", "Parallels"),
];

/// Their names, in the same order.
pub const NAMES: [&str; FORMATS.len()] = {
    let mut names = [""; FORMATS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FORMATS[index].name;
        index += 1;
    }
    names
};

/// The format that `name` names.
///
/// # Errors
/// There is none of that name.
pub fn find(name: &str) -> Result<Format, UnknownFormat> {
    FORMATS.into_iter().find(|format| format.name == name).ok_or_else(|| UnknownFormat::new(name))
}

/// The format whose suffix the file name `name` has: the longest that fits.
pub fn of_file(name: &str) -> Option<Format> {
    let fits = |format: &Format| {
        let stem = name.strip_suffix(format.suffix).and_then(|stem| stem.strip_suffix('.'));
        stem.is_some_and(|stem| !stem.is_empty())
    };
    FORMATS.into_iter().filter(fits).max_by_key(|format| format.suffix.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name_and_by_its_suffix() {
        for format in FORMATS {
            assert_eq!(find(format.name).unwrap(), format);
            assert_eq!(of_file(&format!("a.b.{}", format.suffix)), Some(format));
        }
        assert_eq!((of_file("qcow2"), of_file(".raw"), of_file("a.iso")), (None, None, None));
    }

    #[test]
    fn an_unknown_format_is_answered_with_near_names_and_the_list() {
        let error = find("qcow3").unwrap_err();
        assert_eq!(error.near[..2], ["qcow", "qcow2"]);
        assert_eq!(
            error.to_string(),
            format!("unknown format `qcow3`; did you mean `qcow` or `qcow2`? kiln writes {}", NAMES.join(", "))
        );
        assert_eq!(
            find("zzzzzzz").unwrap_err().to_string(),
            format!("unknown format `zzzzzzz`; kiln writes {}", NAMES.join(", "))
        );
    }
}
