//! Identifiers that follow from the seed: the same build has the same ones, another build others.

use uuid::Uuid;

/// RFC 9562's space of object identifiers is nobody's; what is made from it is told apart by `kiln:`.
const SPACE: Uuid = Uuid::NAMESPACE_OID;

/// The identifiers of one image.
pub(super) struct Identity(Uuid);

impl Identity {
    pub fn new(seed: &str) -> Self {
        Self(Uuid::new_v5(&SPACE, format!("kiln:{seed}").as_bytes()))
    }

    /// The identifier of the `kind` (`disk`, `partition`, `filesystem`) named `name`.
    pub fn uuid(&self, kind: &str, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, format!("{kind}:{name}").as_bytes())
    }

    /// The signature of an MBR: never 0, which means none.
    pub fn disk_id(&self, name: &str) -> u32 {
        self.uuid("mbr", name).as_fields().0.max(1)
    }
}
