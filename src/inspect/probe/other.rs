//! What is only named: read-only file systems, swap, and what holds others.

use super::{label, le32, le64, uuid};
use crate::inspect::report::Filesystem;
use crate::inspect::{InspectError, Window};

/// Bytes in a page of the machines that kiln builds for, at whose end swap has its mark.
const PAGES: [u64; 2] = [4096, 65_536];

/// Reads whatever superblock there is.
pub fn probe(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    let start = window.bytes::<512>(0)?;
    if start.starts_with(b"hsqs") {
        // All of it is in use.
        let size = Some(le64(&start, 40));
        return Ok(Some(Filesystem { kind: "squashfs", size, used: size, ..Filesystem::default() }));
    }
    if start.starts_with(b"LUKS\xba\xbe") {
        let kind = "crypto_LUKS";
        let name = (start[6..8] == [0, 2]).then(|| label(&start[24..72])).flatten();
        // Text, in both versions.
        let id = label(&start[168..208]);
        return Ok(Some(Filesystem { kind, label: name, uuid: id, ..Filesystem::default() }));
    }
    if start.starts_with(b"verity\0\0\x01\0\0\0") {
        let kind = "DM_verity_hash";
        return Ok(Some(Filesystem { kind, uuid: uuid(&start[16..32]), ..Filesystem::default() }));
    }
    let erofs = window.bytes::<128>(1024)?;
    if erofs[..4] == [0xe2, 0xe1, 0xf5, 0xe0] && (9..=16).contains(&erofs[12]) {
        let size = Some(le32(&erofs, 36) << erofs[12]);
        let (name, id) = (label(&erofs[64..80]), uuid(&erofs[48..64]));
        return Ok(Some(Filesystem { kind: "erofs", label: name, uuid: id, size, used: size }));
    }
    if let Some(member) = lvm(window)? {
        return Ok(Some(member));
    }
    for page in PAGES {
        if window.size() >= page && window.bytes::<10>(page - 10)? == *b"SWAPSPACE2" {
            let header = window.bytes::<1064>(0)?;
            let size = Some((le32(&header, 1028) + 1).saturating_mul(page));
            let (name, id) = (label(&header[1052..1064]), uuid(&header[1036..1052]));
            return Ok(Some(Filesystem { kind: "swap", label: name, uuid: id, size, used: None }));
        }
    }
    if window.bytes::<5>(32_769)? == *b"CD001" {
        let descriptor = window.bytes::<128>(32_768)?;
        let size = Some(le32(&descriptor, 80) * 2048);
        let name = label(&descriptor[40..72]);
        return Ok(Some(Filesystem { kind: "iso9660", label: name, uuid: None, size, used: size }));
    }
    Ok(None)
}

/// A physical volume: a label in one of the first four sectors.
fn lvm(window: &Window) -> Result<Option<Filesystem>, InspectError> {
    for sector in 0..4 {
        let bytes = window.bytes::<512>(sector * 512)?;
        if bytes.starts_with(b"LABELONE") && bytes[24..32] == *b"LVM2 001" {
            // The identifier has dashes after 6, 10, 14, 18, 22 and 26 characters.
            let id = String::from_utf8_lossy(&bytes[32..64]).into_owned();
            let mut parts = Vec::new();
            let mut rest = id.as_str();
            for length in [6, 4, 4, 4, 4, 4] {
                let Some((part, more)) = rest.split_at_checked(length) else { break };
                parts.push(part);
                rest = more;
            }
            parts.push(rest);
            let uuid = Some(parts.join("-"));
            return Ok(Some(Filesystem { kind: "LVM2_member", uuid, ..Filesystem::default() }));
        }
    }
    Ok(None)
}
