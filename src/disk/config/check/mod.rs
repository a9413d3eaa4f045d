//! What must hold between nodes: names are unique, bases exist and are of the right kind, nothing is used twice, `/` is there.

mod identifiers;
mod mounts;
mod uses;

use std::collections::HashMap;

use super::flatten::Node;
use super::{Config, ROOT, TableKind};
use crate::disk::yaml::{Place, Problem};

/// Checks `config`, which was read from `nodes`.
pub(super) fn check(config: &Config, nodes: &[Node<'_>]) -> Result<(), Problem> {
    let place = |kind: &str, name: &str| {
        let all = nodes.iter().flat_map(|node| std::iter::once(node).chain(&node.entries));
        let same = |node: &&Node<'_>| node.name == name && (node.kind == kind || node.kind == "swap" && kind == "mkfs");
        all.filter(same).map(|node| node.place.clone()).next_back()
    };
    let problem = |kind: &str, name: &str, text: String| {
        (format!("{kind} `{name}`: {text}"), place(kind, name).unwrap_or_default())
    };
    names(nodes)?;
    uses::check(config, &problem)?;
    uses::ground(config, &problem)?;
    order(config, &problem)?;
    labels(config, &problem)?;
    identifiers::check(config, &problem)?;
    mounts::check(config, &problem)
}

/// How a check says what is wrong: kind and name of a node, and the text.
type Say<'a> = dyn Fn(&str, &str, String) -> Problem + 'a;

fn names(nodes: &[Node<'_>]) -> Result<(), Problem> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for node in nodes.iter().flat_map(|node| node.entries.iter().chain(std::iter::once(node))) {
        let mut own = vec![node.name.clone()];
        if node.kind == "swap" {
            // It stands for three nodes.
            own.extend([format!("mount_{}", node.name), format!("fstab_mount_{}", node.name)]);
        }
        for name in own {
            if let Some(line) = seen.insert(name, node.place.line) {
                let text = format!("the name is already taken in line {line}; names are unique");
                return Err(node.problem(&text, &node.place));
            }
        }
    }
    Ok(())
}

fn order(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
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
    for table in &config.tables {
        // In a GPT, those that the hybrid MBR has.
        let mut active = table.partitions.iter().filter(|partition| partition.boot);
        if let (Some(first), Some(second)) = (active.next(), active.next()) {
            let text = format!("`{}` has the flag `boot` already; one partition of an MBR is active", first.name);
            return Err(problem("partition", &second.name, text));
        }
    }
    Ok(())
}

fn labels(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for filesystem in &config.filesystems {
        // The root's label may yet come from the request: `solve` looks at it.
        let label = match &filesystem.label {
            Some(label) => label,
            None if filesystem.name == ROOT || filesystem.kind.as_deref() == Some("squashfs") => continue,
            None => &filesystem.name,
        };
        if let Some(other) = seen.insert(label, &filesystem.name) {
            return Err(problem("mkfs", &filesystem.name, format!("label `{label}` is already that of `{other}`")));
        }
    }
    Ok(())
}

/// The beginning of the text: where something is missing, there is no other place.
fn beginning() -> Place {
    Place { line: 1, column: 1, bytes: 0..0 }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
