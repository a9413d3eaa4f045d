//! Which images of a disk are written in this process, and by what.
//!
//! In: a format and qemu-img's options. Out: its writer, or nothing: then it is qemu-img's.

use camino::Utf8Path;

use super::identity::Target;
use super::pass::Sink;
use super::{FormatError, qcow2, raw, vdi, vhd, vhdx, vmdk};
use crate::plan::Output;

/// An image that is written in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// The disk byte for byte.
    Raw,
    /// QEMU's.
    Qcow2(qcow2::Options),
    /// Microsoft's older one.
    Vhd(vhd::Kind),
    /// Microsoft's newer one.
    Vhdx,
    /// VMware's.
    Vmdk(vmdk::Options),
    /// VirtualBox's.
    Vdi,
}

impl Own {
    /// What writes `output`; `None` when its format or its options are qemu-img's alone.
    pub fn of(output: &Output) -> Option<Self> {
        let options = output.options.as_str();
        let only = |known: &str| options.split(',').all(|option| option.is_empty() || option == known);
        match output.format.as_str() {
            "raw" => Some(Self::Raw),
            "qcow2" => qcow2::Options::parse(options, output.qcow2_compression).map(Self::Qcow2),
            "vhd" => Some(Self::Vhd(vhd::Kind::Dynamic)),
            "vhd-fixed" => Some(Self::Vhd(vhd::Kind::Fixed)),
            "vhdx" if only("subformat=dynamic") => Some(Self::Vhdx),
            "vmdk" => vmdk::Options::parse(options).map(Self::Vmdk),
            "vdi" if only("static=off") => Some(Self::Vdi),
            _ => None,
        }
    }

    /// Begins the image of `target`; `from` is the raw image that is being read, when it is one.
    ///
    /// # Errors
    /// The disk is too large for the format, or the file cannot be made.
    pub fn sink(&self, target: &Target, from: Option<&Utf8Path>) -> Result<Box<dyn Sink>, FormatError> {
        match self {
            Self::Raw => raw::sink(target, from),
            Self::Qcow2(options) => qcow2::sink(target, options),
            Self::Vhd(kind) => vhd::sink(target, *kind),
            Self::Vhdx => vhdx::sink(target),
            Self::Vmdk(options) => vmdk::sink(target, options),
            Self::Vdi => vdi::sink(target),
        }
    }
}
