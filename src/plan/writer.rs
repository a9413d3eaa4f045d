//! Who writes the disk image: files straight into it, or through real block devices because a hook wants some.
//!
//! In: what was asked for and the hooks. Out: [`Writer`], with the hook that caused the choice. Not here: writing (`disk/`).

use std::fs;

use serde::{Deserialize, Serialize};

use super::{Phase, PlanError};
use crate::element::{Element, HookKind};
use crate::request::{DiskWriter, Kind, Request};

/// Who writes the disk image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Writer {
    /// Files are written straight into the image file; nothing is mounted.
    #[default]
    Direct,
    /// The image is attached as a loop device and mounted while the last hooks run.
    Loop {
        /// Who wants it: `bootloader/finalise.d/50-bootloader`, or the option.
        because: String,
    },
}

/// Words in a hook that tell that it wants a block device.
const WORDS: [&str; 7] = [
    "IMAGE_BLOCK_DEVICE",
    "grub-install",
    "grub2-install",
    "grub-bios-setup",
    "extlinux --install",
    "zipl",
    "/dev/loop",
];

/// Phases whose hooks run when the disk is there.
const PHASES: [Phase; 4] = [Phase::BlockDevice, Phase::PreFinalise, Phase::Finalise, Phase::Cleanup];

/// Chooses the writer.
pub(super) fn choose(request: &Request, elements: &[Element]) -> Result<Writer, PlanError> {
    match request.disk_writer {
        DiskWriter::Direct => return Ok(Writer::Direct),
        DiskWriter::Loop => return Ok(Writer::Loop { because: "--disk-writer".to_owned() }),
        DiskWriter::Auto if request.kind == Kind::Ramdisk => return Ok(Writer::Direct),
        DiskWriter::Auto => {}
    }
    for element in elements {
        for hook in element.hooks.iter().filter(|hook| PHASES.contains(&hook.phase)) {
            let HookKind::Shell { file } = &hook.kind else { continue };
            let read = |source| PlanError::Read { path: file.clone(), source };
            // A hook may be a binary: what cannot be read as text is searched as bytes.
            let text = fs::read(file).map_err(read)?;
            let text = String::from_utf8_lossy(&text);
            if hook.phase == Phase::BlockDevice || wants_a_device(&text) {
                return Ok(Writer::Loop {
                    because: format!("{}/{}/{}", element.name, hook.phase.directory(), hook.key),
                });
            }
        }
    }
    Ok(Writer::Direct)
}

/// Whether a line that is no comment has one of the words.
fn wants_a_device(text: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| WORDS.iter().any(|word| line.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::wants_a_device;

    #[test]
    fn a_hook_that_names_a_block_device_outside_a_comment_wants_one() {
        assert!(wants_a_device("set -eu\nBOOT_DEV=$IMAGE_BLOCK_DEVICE\n"));
        assert!(wants_a_device("eval DEVICES=( $IMAGE_BLOCK_DEVICES )"));
        assert!(!wants_a_device("  # $IMAGE_BLOCK_DEVICE is of no interest here\necho hello\n"));
    }
}
