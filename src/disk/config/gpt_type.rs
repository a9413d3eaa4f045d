//! sgdisk's codes for partition types, and the GUIDs they stand for.
//!
//! The GUIDs are those of the UEFI specification and of the Discoverable Partitions Specification.

use uuid::{Uuid, uuid};

/// Code and GUID.
pub(super) const TYPES: [(&str, Uuid); 27] = [
    ("0700", uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")),
    ("0C01", uuid!("e3c9e316-0b5c-4db8-817d-f92df00215ae")),
    ("3000", uuid!("7412f7d5-a156-4b13-81dc-867174929325")),
    ("4100", uuid!("9e1a2d38-c612-4316-aa26-8b49521e5a8b")),
    ("7F00", uuid!("fe3a2a5d-4f32-41a7-b725-accc3285a309")),
    ("8200", uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")),
    ("8300", uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4")),
    ("8301", uuid!("8da63339-0007-60c0-c436-083ac8230908")),
    ("8302", uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915")),
    ("8303", uuid!("44479540-f297-41b2-9af7-d131d5f0458a")),
    ("8304", uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")),
    ("8305", uuid!("b921b045-1df0-41c3-af44-4c6f280d3fae")),
    ("8306", uuid!("3b8f8425-20e0-4f3b-907f-1a25a76f98e8")),
    ("8307", uuid!("69dad710-2ce4-4e3c-b16c-21a1d49abed3")),
    ("8308", uuid!("7ffec5c9-2d00-49b7-8941-3ea10a5586b7")),
    ("8309", uuid!("ca7d7ccb-63ed-4c53-861c-1742536059cc")),
    ("830C", uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")),
    ("830E", uuid!("df3300ce-d69f-4c92-978c-9bfb0f38d820")),
    ("8310", uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d")),
    ("8311", uuid!("7ec6f557-3bc5-4aca-b293-16ef5df639d1")),
    ("8314", uuid!("8484680c-9521-48c6-9c11-b0720656f69e")),
    ("8316", uuid!("b0e01050-ee5f-4390-949a-9101b17104e9")),
    ("8E00", uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928")),
    ("EA00", uuid!("bc13c2ff-59e6-4262-a352-b275fd6f7172")),
    ("EF00", uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")),
    ("EF02", uuid!("21686148-6449-6e6f-744e-656564454649")),
    ("FD00", uuid!("a19d880f-05fc-4d3b-a006-743f0f84911e")),
];

/// The GUID of a code, which may have `0x` in front as for sgdisk, or a GUID as written.
pub(super) fn of(text: &str) -> Option<Uuid> {
    let bare = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let known = TYPES.iter().find(|(code, _)| code.eq_ignore_ascii_case(bare)).map(|(_, guid)| *guid);
    known.or_else(|| Uuid::try_parse(text).ok())
}

/// sgdisk's code of a GUID that has one.
pub fn code(guid: Uuid) -> Option<&'static str> {
    TYPES.iter().find(|(_, known)| *known == guid).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_code_may_be_written_in_any_way_that_sgdisk_reads() {
        assert!(of("4100").is_some());
        assert_eq!(of("0x4100"), of("4100"));
        assert_eq!(of("ef00"), of("0xEF00"));
        assert_eq!(of("0x9999"), None);
    }
}
