//! What tells things apart on a machine: no identifier that the description gives is given twice.

use std::collections::HashMap;

use uuid::Uuid;

use super::Say;
use crate::disk::config::Config;
use crate::disk::yaml::Problem;

pub(super) fn check(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let tables = config.tables.iter().map(|node| ("partitioning", &node.name, node.guid));
    let partitions = config.partitions().map(|node| ("partition", &node.name, node.guid));
    let containers = config.luks.iter().map(|node| ("luks", &node.name, node.uuid));
    let verified = config.verity.iter().map(|node| ("verity", &node.name, node.uuid));
    let filesystems = config.filesystems.iter().map(|node| ("mkfs", &node.name, node.uuid));
    let mut seen: HashMap<Uuid, &str> = HashMap::new();
    for (kind, name, uuid) in tables.chain(partitions).chain(containers).chain(verified).chain(filesystems) {
        let Some(uuid) = uuid else { continue };
        if let Some(other) = seen.insert(uuid, name) {
            return Err(problem(kind, name, format!("the UUID {uuid} is already that of `{other}`")));
        }
    }
    let mut seen: HashMap<u32, &str> = HashMap::new();
    for table in &config.tables {
        let Some(id) = table.disk_id else { continue };
        if let Some(other) = seen.insert(id, &table.name) {
            return Err(problem(
                "partitioning",
                &table.name,
                format!("the disk_id {id:#010x} is already that of `{other}`"),
            ));
        }
    }
    Ok(())
}
