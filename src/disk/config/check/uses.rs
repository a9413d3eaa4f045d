//! What is on what: every base is there, is of a kind that can carry its user, and carries nothing else.

use std::collections::{HashMap, HashSet};

use super::{Say, quoted};
use crate::disk::config::{Config, VolumeKind};
use crate::disk::yaml::Problem;

/// The names that can be bases, by kind.
struct Bases<'a> {
    loops: Vec<&'a str>,
    partitions: Vec<&'a str>,
    volumes: Vec<&'a str>,
    containers: Vec<&'a str>,
}

/// Checks every use of one node by another.
pub(super) fn check(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let bases = bases(config);
    let all = |lists: &[&[&'_ str]]| lists.concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let plain = all(&[&bases.loops, &bases.partitions]);
    let devices = all(&[&bases.loops, &bases.partitions, &bases.volumes, &bases.containers]);
    let encryptable = all(&[&bases.loops, &bases.partitions, &bases.volumes]);
    let physical = all(&[&bases.loops, &bases.partitions, &bases.containers]);
    let loops = all(&[&bases.loops]);
    let filesystems: Vec<_> = config.filesystems.iter().map(|node| node.name.clone()).collect();
    let mounts: Vec<_> = config.mounts.iter().map(|node| node.name.clone()).collect();

    // Each use of a node, by the list it must be in. What carries one thing carries no other: one map of users for all.
    let mut uses: Vec<(&str, &str, &str, &[String])> = Vec::new();
    uses.extend(config.tables.iter().map(|node| ("partitioning", &*node.name, &*node.base, &*loops)));
    uses.extend(config.luks.iter().map(|node| ("luks", &*node.name, &*node.base, &*encryptable)));
    for lvm in &config.lvm {
        uses.extend(lvm.physical_volumes.iter().map(|node| ("pv", &*node.name, &*node.base, &*physical)));
    }
    uses.extend(config.verity.iter().map(|node| ("verity", &*node.name, &*node.hash, &*encryptable)));
    uses.extend(config.filesystems.iter().map(|node| ("mkfs", &*node.name, &*node.base, &*devices)));
    uses.extend(config.mounts.iter().map(|node| ("mount", &*node.name, &*node.base, &*filesystems)));
    uses.extend(config.fstab.iter().map(|node| ("fstab", &*node.name, &*node.base, &*mounts)));
    let mut users: HashMap<&str, &str> = HashMap::new();
    for (kind, name, base, valid) in uses {
        let key = if kind == "verity" { "hash" } else { "base" };
        is_there(key, base, valid, &|text| problem(kind, name, text))?;
        if let Some(other) = users.insert(base, name) {
            return Err(problem(kind, name, format!("`{base}` is already used by `{other}`")));
        }
    }
    // What is verified carries a file system all the same.
    let mut verified: HashMap<&str, &str> = HashMap::new();
    for node in &config.verity {
        let say = |text| problem("verity", &node.name, text);
        is_there("base", &node.base, if bases.volumes.is_empty() { &plain } else { &encryptable }, &say)?;
        if node.base == node.hash || users.get(node.hash.as_str()) != Some(&node.name.as_str()) {
            return Err(say(format!(
                "`{}` cannot hold the hashes: it is the data itself, or is used already",
                node.hash
            )));
        }
        if let Some(other) = verified.insert(&node.base, &node.name) {
            return Err(say(format!("`{}` is already verified by `{other}`", node.base)));
        }
    }
    groups(config, problem)
}

fn bases(config: &Config) -> Bases<'_> {
    let volumes = config.lvm.iter().flat_map(|lvm| &lvm.volumes);
    // A pool holds nothing itself.
    let volumes = volumes.filter(|volume| !matches!(volume.kind, VolumeKind::ThinPool { .. }));
    Bases {
        loops: config.loops.iter().map(|node| node.name.as_str()).collect(),
        partitions: config.partitions().map(|node| node.name.as_str()).collect(),
        volumes: volumes.map(|node| node.name.as_str()).collect(),
        containers: config.luks.iter().map(|node| node.name.as_str()).collect(),
    }
}

fn is_there(key: &str, base: &str, valid: &[String], say: &dyn Fn(String) -> Problem) -> Result<(), Problem> {
    if valid.iter().any(|name| name == base) {
        return Ok(());
    }
    let names: Vec<&str> = valid.iter().map(String::as_str).collect();
    let valid = if names.is_empty() { "there is none".into() } else { format!("it may be {}", quoted(&names)) };
    Err(say(format!("{key} `{base}` is not there or not of the right kind; {valid}")))
}

/// Inside a node of LVM: groups have physical volumes of their own, volumes a group, thin ones a pool of the same group.
fn groups(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    for lvm in &config.lvm {
        let physical: Vec<_> = lvm.physical_volumes.iter().map(|node| node.name.clone()).collect();
        let groups: Vec<_> = lvm.volume_groups.iter().map(|node| node.name.clone()).collect();
        let mut users: HashMap<&str, &str> = HashMap::new();
        for group in &lvm.volume_groups {
            for base in &group.base {
                is_there("base", base, &physical, &|text| problem("vg", &group.name, text))?;
                if let Some(other) = users.insert(base, &group.name) {
                    return Err(problem("vg", &group.name, format!("`{base}` is already used by `{other}`")));
                }
            }
        }
        if let Some(idle) = lvm.physical_volumes.iter().find(|node| !users.contains_key(node.name.as_str())) {
            return Err(problem("pv", &idle.name, "no group of `vgs` has it in its `base`".into()));
        }
        for volume in &lvm.volumes {
            is_there("base", &volume.base, &groups, &|text| problem("lv", &volume.name, text))?;
            if let VolumeKind::Thin { pool } = &volume.kind {
                let is_pool = |node: &&crate::disk::config::LogicalVolume| {
                    node.base == volume.base && matches!(node.kind, VolumeKind::ThinPool { .. })
                };
                let pools: Vec<_> = lvm.volumes.iter().filter(is_pool).map(|node| node.name.clone()).collect();
                is_there("thin-pool", pool, &pools, &|text| problem("lv", &volume.name, text))?;
            }
        }
    }
    Ok(())
}

/// Containers and groups stand, over each other, on a disk in the end and not on themselves.
pub(super) fn ground(config: &Config, problem: &Say<'_>) -> Result<(), Problem> {
    let plain = config.loops.iter().map(|node| node.name.as_str());
    let mut grounded: HashSet<&str> = plain.chain(config.partitions().map(|node| node.name.as_str())).collect();
    loop {
        let before = grounded.len();
        let luks = config.luks.iter().filter(|node| grounded.contains(node.base.as_str()));
        let mut more: Vec<&str> = luks.map(|node| node.name.as_str()).collect();
        for lvm in &config.lvm {
            let physical = |name: &String| {
                let base = lvm.physical_volumes.iter().find(|node| node.name == *name).map(|node| node.base.as_str());
                base.is_some_and(|base| grounded.contains(base))
            };
            for group in lvm.volume_groups.iter().filter(|group| group.base.iter().all(physical)) {
                more.push(&group.name);
                more.extend(lvm.volumes.iter().filter(|node| node.base == group.name).map(|node| node.name.as_str()));
            }
        }
        grounded.extend(more);
        if grounded.len() == before {
            break;
        }
    }
    let afloat = |kind: &str, name: &str| {
        Err(problem(kind, name, "its bases lead back to itself; one of them must be on a partition or disk".into()))
    };
    if let Some(node) = config.luks.iter().find(|node| !grounded.contains(node.name.as_str())) {
        return afloat("luks", &node.name);
    }
    let groups = config.lvm.iter().flat_map(|lvm| &lvm.volume_groups);
    groups.filter(|group| !grounded.contains(group.name.as_str())).try_for_each(|group| afloat("vg", &group.name))
}
