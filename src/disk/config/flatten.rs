//! Tree form to graph form: every node on its own, with its name and its base.
//!
//! DIB's rules: a nested node's base is the node around it, a name is made of kind and base, and nested
//! nodes come before the node around them. Partitions and the parts of LVM can have nodes inside them too.

use crate::disk::yaml::{Kind, Place, Problem, Scalar, Value};

/// Node kinds: DIB's words, then those that only kiln knows.
pub(super) const KINDS: [&str; 9] =
    ["local_loop", "partitioning", "lvm", "mkfs", "mount", "fstab", "luks", "verity", "swap"];

/// Kinds whose nodes have names of their own.
const NAMED: [&str; 5] = ["local_loop", "partition", "pv", "vg", "lv"];

/// A kind that people know from other tools, and is none here.
const RAID: &str = "raid";

/// A node without the nodes inside it.
pub(super) struct Node<'a> {
    pub kind: &'a str,
    pub name: String,
    pub base: Option<String>,
    pub keys: Vec<(&'a Scalar, &'a Value)>,
    /// Of a partitioning its partitions; of an lvm its physical volumes, groups and logical volumes.
    pub entries: Vec<Node<'a>>,
    pub place: Place,
}

impl<'a> Node<'a> {
    /// The value of `key`, unless it is null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let found = self.keys.iter().find(|(name, _)| name.text == key);
        found.map(|(_, value)| *value).filter(|value| value.kind != Kind::Null)
    }

    /// The single value of `key` as written.
    pub fn text(&self, key: &str) -> Result<Option<(&'a str, &'a Place)>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(Value { kind: Kind::Scalar(text), place }) => Ok(Some((text, place))),
            Some(other) => {
                Err(self.problem(&format!("`{key}` must be a single value, not {}", other.what()), &other.place))
            }
        }
    }

    /// A problem of this node.
    pub fn problem(&self, text: &str, place: &Place) -> Problem {
        (format!("{} `{}`: {text}", self.kind, self.name), place.clone())
    }
}

/// All nodes of a description.
pub(super) fn flatten(document: &Value) -> Result<Vec<Node<'_>>, Problem> {
    let Kind::List(entries) = &document.kind else {
        let text =
            format!("a block-device description is a list of nodes ({}), not {}", KINDS.join(", "), document.what());
        return Err((text, document.place.clone()));
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let Kind::Map(keys) = &entry.kind else {
            return Err((
                format!("a node is a mapping with one of {} as its key", KINDS.join(", ")),
                entry.place.clone(),
            ));
        };
        let [(kind, value)] = keys.as_slice() else {
            let names: Vec<_> = keys.iter().map(|(key, _)| format!("`{}`", key.text)).collect();
            let text = match names.as_slice() {
                [] => "a node has exactly one key, its kind; here is none".to_owned(),
                names => format!(
                    "a node has exactly one key, its kind; here are {}: indent what belongs to the node",
                    names.join(", ")
                ),
            };
            return Err((text, entry.place.clone()));
        };
        refuse_raid(kind)?;
        if !KINDS.contains(&kind.text.as_str()) {
            return Err((
                format!("`{}` is not a kind of node; kinds are {}", kind.text, KINDS.join(", ")),
                kind.place.clone(),
            ));
        }
        node(kind, value, None, &mut nodes)?;
    }
    Ok(nodes)
}

fn refuse_raid(kind: &Scalar) -> Result<(), Problem> {
    let text = "`raid` is not supported: an image is one disk's content, and a mirror or stripe of one disk protects \
                nothing; put the file system on a partition, and make the array on the machine with mdadm";
    if kind.text == RAID { Err((text.into(), kind.place.clone())) } else { Ok(()) }
}

fn node<'a>(
    kind: &'a Scalar,
    value: &'a Value,
    around: Option<&str>,
    nodes: &mut Vec<Node<'a>>,
) -> Result<(), Problem> {
    let keys: &[_] = match &value.kind {
        Kind::Map(keys) => keys,
        Kind::Null => &[],
        _ => return Err((format!("`{}` must be a mapping, not {}", kind.text, value.what()), value.place.clone())),
    };
    if kind.text == "local_loop" && around.is_some() {
        let text = "a `local_loop` is a disk, which is on nothing: move it out, to the list of nodes";
        return Err((text.into(), kind.place.clone()));
    }
    let mut this = header(&kind.text, keys, &kind.place, around)?;
    if let Some((inside, _)) = keys.iter().find(|(key, _)| kind.text == "swap" && KINDS.contains(&key.text.as_str())) {
        let text = format!("swap brings its mount and its line in /etc/fstab; remove `{}`", inside.text);
        return Err(this.problem(&text, &inside.place));
    }
    nested(keys, &this.name, nodes)?;
    match kind.text.as_str() {
        "partitioning" => {
            let base = this.base.clone();
            let hint = "it is the list of the partitions, each with `name` and `size`";
            this.entries = entries(&this, ("partitions", "partition"), hint, base.as_deref(), nodes)?;
        }
        "lvm" => {
            let lists = [
                (("pvs", "pv"), "it is the list of the physical volumes, each with `name` and `base`"),
                (("vgs", "vg"), "it is the list of the volume groups, each with `name` and `base`"),
                (
                    ("lvs", "lv"),
                    "it is the list of the logical volumes, each with `name`, `base`, and `size` or `extents`",
                ),
            ];
            for (list, hint) in lists {
                // A physical volume's base may be the node around `lvm`; the others name their own.
                let base = around.filter(|_| list.1 == "pv");
                let found = entries(&this, list, hint, base, nodes)?;
                this.entries.extend(found);
            }
        }
        _ => {}
    }
    nodes.push(this);
    Ok(())
}

/// The nodes inside a node's keys.
fn nested<'a>(keys: &'a [(Scalar, Value)], around: &str, nodes: &mut Vec<Node<'a>>) -> Result<(), Problem> {
    for (key, value) in keys {
        refuse_raid(key)?;
        if KINDS.contains(&key.text.as_str()) {
            node(key, value, Some(around), nodes)?;
        }
    }
    Ok(())
}

/// The entries of the list `key` of `node`, as nodes of `kind`. Their own nested nodes come before `node` itself.
fn entries<'a>(
    node: &Node<'a>,
    (key, kind): (&str, &'a str),
    hint: &str,
    base: Option<&str>,
    nodes: &mut Vec<Node<'a>>,
) -> Result<Vec<Node<'a>>, Problem> {
    let list = match node.get(key) {
        Some(Value { kind: Kind::List(list), .. }) if !list.is_empty() => list,
        None => return Err(node.problem(&format!("`{key}` is missing; {hint}"), &node.place)),
        Some(other) => {
            return Err(node.problem(&format!("`{key}` must be a list that is not empty; {hint}"), &other.place));
        }
    };
    let mut found = Vec::new();
    for entry in list {
        let Kind::Map(keys) = &entry.kind else {
            return Err(node.problem(&format!("every entry of `{key}` must be a mapping; {hint}"), &entry.place));
        };
        let mut inner = header(kind, keys, &entry.place, None)?;
        nested(keys, &inner.name, nodes)?;
        inner.base = inner.base.or_else(|| base.map(str::to_owned));
        found.push(inner);
    }
    Ok(found)
}

fn header<'a>(
    kind: &'a str,
    keys: &'a [(Scalar, Value)],
    place: &Place,
    around: Option<&str>,
) -> Result<Node<'a>, Problem> {
    let own = keys.iter().filter(|(key, _)| !KINDS.contains(&key.text.as_str()));
    let keys = own.map(|(key, value)| (key, value)).collect();
    let mut node = Node { kind, name: String::new(), base: None, keys, entries: Vec::new(), place: place.clone() };
    // The name first: errors say it.
    let given = node.text("name").map_err(|_| (format!("{kind}: `name` must be a single value"), place.clone()))?;
    if let Some((name, _)) = given {
        name.clone_into(&mut node.name);
    }
    node.base = match kind {
        // A group's is a list.
        "vg" => None,
        _ => match node.get("base") {
            Some(Value { kind: Kind::Scalar(base), .. }) => Some(base.clone()),
            None => around.map(str::to_owned),
            // DIB's own description lists the physical volumes' bases here, which says nothing.
            Some(_) if kind == "lvm" => None,
            Some(other) => {
                let text = format!("{kind}: `base` must be the name of one node, not {}", other.what());
                return Err((text, other.place.clone()));
            }
        },
    };
    if given.is_none() {
        node.name = match &node.base {
            Some(base) if !NAMED.contains(&kind) => format!("{kind}_{base}"),
            None if !NAMED.contains(&kind) && kind != "lvm" => {
                let text = format!("{kind}: `base` is missing: the name of what it is on; or nest it inside that");
                return Err((text, place.clone()));
            }
            _ => return Err((format!("{kind}: `name` is missing"), place.clone())),
        };
    }
    if kind == "lvm" {
        // It gives its name only; its physical volumes have bases of their own.
        node.base = None;
    }
    if node.name.is_empty() || node.name.contains(char::is_control) {
        return Err((format!("{kind}: a name must have letters, and no control characters"), place.clone()));
    }
    Ok(node)
}
