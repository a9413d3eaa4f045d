//! What must hold between nodes.

use std::collections::HashMap;

use super::flatten::Node;
use super::{Config, ROOT, TableKind};
use crate::disk::yaml::Problem;

/// Names are unique, bases exist and are of the right kind, nothing is used twice, `/` is there.
pub(super) fn check(config: &Config, nodes: &[Node<'_>]) -> Result<(), Problem> {
    let problem = |kind: &str, name: &str, text: String| {
        let all = nodes.iter().flat_map(|node| std::iter::once(node).chain(&node.partitions));
        let place =
            all.filter(|node| node.kind == kind && node.name == name).map(|node| node.place.clone()).next_back();
        (format!("{kind} `{name}`: {text}"), place.unwrap_or_default())
    };
    names(nodes)?;
    let loops: Vec<&str> = config.loops.iter().map(|node| node.name.as_str()).collect();
    let devices: Vec<&str> = loops.iter().copied().chain(config.partitions().map(|node| node.name.as_str())).collect();
    let filesystems: Vec<&str> = config.filesystems.iter().map(|node| node.name.as_str()).collect();
    let mounts: Vec<&str> = config.mounts.iter().map(|node| node.name.as_str()).collect();
    // Each use of a node, by the list it must be in. A disk carries a table or a file system: one list for both.
    let tables = config.tables.iter().map(|node| ("partitioning", node.name.as_str(), node.base.as_str(), &loops));
    let made = config.filesystems.iter().map(|node| ("mkfs", node.name.as_str(), node.base.as_str(), &devices));
    let mounted = config.mounts.iter().map(|node| ("mount", node.name.as_str(), node.base.as_str(), &filesystems));
    let listed = config.fstab.iter().map(|node| ("fstab", node.name.as_str(), node.base.as_str(), &mounts));
    let mut users: HashMap<&str, &str> = HashMap::new();
    for (kind, name, base, valid) in tables.chain(made).chain(mounted).chain(listed) {
        if !valid.contains(&base) {
            let valid = if valid.is_empty() { "there is none".into() } else { format!("it may be {}", quoted(valid)) };
            return Err(problem(kind, name, format!("base `{base}` is not there or not of the right kind; {valid}")));
        }
        if let Some(other) = users.insert(base, name) {
            return Err(problem(kind, name, format!("`{base}` is already used by `{other}`")));
        }
    }
    for table in config.tables.iter().filter(|table| table.label == TableKind::Mbr) {
        let mut logical = false;
        for partition in &table.partitions {
            if partition.primary && logical {
                let text = "primary partitions must come before logical ones (those without the flag `primary`)";
                return Err(problem("partition", &partition.name, text.into()));
            }
            logical |= !partition.primary;
        }
    }
    labels(config, &problem)?;
    mount_points(config, &problem)
}

fn names(nodes: &[Node<'_>]) -> Result<(), Problem> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for node in nodes.iter().flat_map(|node| node.partitions.iter().chain(std::iter::once(node))) {
        if let Some(line) = seen.insert(&node.name, node.place.line) {
            return Err(
                node.problem(&format!("the name is already taken in line {line}; names are unique"), &node.place)
            );
        }
    }
    Ok(())
}

fn labels(config: &Config, problem: &impl Fn(&str, &str, String) -> Problem) -> Result<(), Problem> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for filesystem in &config.filesystems {
        // The root's label may yet come from the request: `solve` looks at it.
        let label = match &filesystem.label {
            Some(label) => label,
            None if filesystem.name == ROOT => continue,
            None => &filesystem.name,
        };
        if let Some(other) = seen.insert(label, &filesystem.name) {
            return Err(problem("mkfs", &filesystem.name, format!("label `{label}` is already that of `{other}`")));
        }
    }
    Ok(())
}

fn mount_points(config: &Config, problem: &impl Fn(&str, &str, String) -> Problem) -> Result<(), Problem> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for mount in &config.mounts {
        let filesystem = config.filesystems.iter().find(|filesystem| filesystem.name == mount.base);
        let swap = filesystem.is_some_and(|filesystem| filesystem.kind.as_deref() == Some("swap"));
        if swap != (mount.mount_point == "none") {
            let text = "the mount point `none` is for swap, and swap has no other";
            return Err(problem("mount", &mount.name, text.into()));
        }
        if let Some(other) = seen.insert(&mount.mount_point, &mount.name).filter(|_| !swap) {
            let point = &mount.mount_point;
            return Err(problem("mount", &mount.name, format!("`{point}` is already the mount point of `{other}`")));
        }
    }
    if !seen.contains_key("/") {
        let text = "no file system is mounted at `/`; add a mount node with `mount_point: /`";
        return Err((text.into(), crate::disk::yaml::Place { line: 1, column: 1, bytes: 0..0 }));
    }
    Ok(())
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
