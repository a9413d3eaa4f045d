//! Disk images, read as the disks they hold.
//!
//! In: a file. Out: a [`Disk`]: its size, where it has data, and its bytes, whatever the format; or a refusal. Memory is bounded by the
//! format's tables whatever a file says, and a damaged file is an error, never a panic. Not here: what is on the disk.

mod blocks;
mod container;
mod qcow2;
mod raw;
mod tables;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use std::ops::Range;

use camino::Utf8Path;

use self::container::Container;
use super::FormatError;

/// A disk, read from whatever holds it. May be read by several threads at once.
pub trait Disk: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// The first range at or behind `from` that may hold something else than zeros.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError>;

    /// Fills `bytes` from `offset`; all of it must lie within the disk.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), FormatError>;
}

/// A format that is read in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The disk byte for byte.
    Raw,
    /// QEMU's, versions 2 and 3.
    Qcow2,
    /// Microsoft's older one, fixed or dynamic.
    Vhd,
    /// Microsoft's newer one.
    Vhdx,
    /// VMware's, in one sparse file.
    Vmdk,
    /// VirtualBox's.
    Vdi,
}

impl Kind {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Raw, Self::Qcow2, Self::Vhd, Self::Vhdx, Self::Vmdk, Self::Vdi];

    /// What users call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
        }
    }

    /// The format that `name` names, the user's word or qemu-img's.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| [kind.as_str(), kind.of_qemu()].contains(&name))
    }

    /// What qemu-img calls it.
    pub const fn of_qemu(self) -> &'static str {
        match self {
            Self::Vhd => "vpc",
            other => other.as_str(),
        }
    }

    /// The format that the bytes of the file at `path` are in: raw when they are no other's.
    ///
    /// # Errors
    /// The file cannot be read, or is none of these.
    pub fn detect(path: &Utf8Path) -> Result<Self, FormatError> {
        let file = Container::open(path, "a disk image")?;
        let mut beginning = [0; 512];
        let length = file.length().min(512) as usize;
        file.fill(&mut beginning[..length], 0)?;
        let kind = match &beginning {
            [b'Q', b'F', b'I', 0xfb, ..] => Self::Qcow2,
            [b'K', b'D', b'M', b'V', ..] => Self::Vmdk,
            bytes if bytes.starts_with(b"vhdxfile") => Self::Vhdx,
            bytes if bytes.starts_with(b"conectix") => Self::Vhd,
            bytes if bytes[64..68] == super::vdi::SIGNATURE.to_le_bytes() => Self::Vdi,
            bytes if let Some(error) = other(path, bytes) => return Err(error),
            _ if file.length() >= 512 => {
                // A fixed VHD has its footer only at the end.
                file.fill(&mut beginning, file.length() - 512)?;
                if beginning.starts_with(b"conectix") { Self::Vhd } else { Self::Raw }
            }
            _ => Self::Raw,
        };
        Ok(kind)
    }
}

/// How images begin that only qemu-img reads, and what it calls them. A VMDK of several files begins with their description.
const FOREIGN: [(&[u8], &str); 5] = [
    (b"QED\0", "qed"),
    (b"WithoutFreeSpace", "parallels"),
    (b"WithouFreSpacExt", "parallels"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"Bochs Virtual HD Image", "bochs"),
];

/// How compressed files begin, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b\x08", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2")];

/// Why the file at `path`, which begins with `bytes`, is not to be read as a raw disk.
fn other(path: &Utf8Path, bytes: &[u8; 512]) -> Option<FormatError> {
    let path = path.to_owned();
    if let Some((_, format)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(FormatError::Foreign { path, format });
    }
    // A disk that boots may begin with anything.
    let boots = bytes[510..] == [0x55, 0xaa];
    let packed = COMPRESSED.iter().find(|(magic, _)| !boots && bytes.starts_with(magic));
    packed.map(|(_, program)| FormatError::Compressed { path, program })
}

/// Opens the image at `path`, of the format that is named or that its bytes tell.
///
/// # Errors
/// The file cannot be read, is damaged, or needs what kiln does not read.
pub fn open(path: &Utf8Path, kind: Option<Kind>) -> Result<Box<dyn Disk>, FormatError> {
    let kind = match kind {
        Some(kind) => kind,
        None => Kind::detect(path)?,
    };
    let file = Container::open(path, kind.as_str())?;
    match kind {
        Kind::Raw => Ok(Box::new(raw::Raw::new(file))),
        Kind::Qcow2 => Ok(Box::new(qcow2::Image::open(file)?)),
        Kind::Vhd => vhd::open(file),
        Kind::Vhdx => Ok(Box::new(vhdx::open(file)?)),
        Kind::Vmdk => Ok(Box::new(vmdk::Image::open(file)?)),
        Kind::Vdi => Ok(Box::new(vdi::open(file)?)),
    }
}

#[cfg(test)]
mod tests;
