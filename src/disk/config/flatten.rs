//! Tree form to graph form: every node on its own, with its name and its base.
//!
//! DIB's rules: a nested node's base is the node around it, a name is made of kind and base, and nested
//! nodes come before the node around them.

use crate::disk::yaml::{Kind, Place, Problem, Scalar, Value};

/// Node kinds, in DIB's words.
pub(super) const KINDS: [&str; 6] = ["local_loop", "partitioning", "lvm", "mkfs", "mount", "fstab"];

/// A node without the nodes inside it.
pub(super) struct Node<'a> {
    pub kind: &'a str,
    pub name: String,
    pub base: Option<String>,
    pub keys: Vec<(&'a Scalar, &'a Value)>,
    /// Only of a partitioning: its partitions.
    pub partitions: Vec<Node<'a>>,
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
            let text = format!(
                "a node has exactly one key, its kind; here are {}: indent what belongs to the node",
                names.join(", ")
            );
            return Err((text, entry.place.clone()));
        };
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

fn node<'a>(
    kind: &'a Scalar,
    value: &'a Value,
    around: Option<&str>,
    nodes: &mut Vec<Node<'a>>,
) -> Result<(), Problem> {
    let Kind::Map(keys) = &value.kind else {
        if value.kind == Kind::Null {
            return node_of(kind, &[], &kind.place, around, nodes);
        }
        return Err((format!("`{}` must be a mapping, not {}", kind.text, value.what()), value.place.clone()));
    };
    node_of(kind, keys, &kind.place, around, nodes)
}

fn node_of<'a>(
    kind: &'a Scalar,
    keys: &'a [(Scalar, Value)],
    place: &Place,
    around: Option<&str>,
    nodes: &mut Vec<Node<'a>>,
) -> Result<(), Problem> {
    let mut this = header(&kind.text, keys, place, around)?;
    nested(keys, &this.name, nodes)?;
    if kind.text == "partitioning" {
        for entry in partition_entries(&this)? {
            let Kind::Map(keys) = &entry.kind else {
                return Err(this.problem("every partition must be a mapping", &entry.place));
            };
            let base = this.base.clone();
            let mut partition = header("partition", keys, &entry.place, None)?;
            nested(keys, &partition.name, nodes)?;
            partition.base = partition.base.or(base);
            this.partitions.push(partition);
        }
    }
    nodes.push(this);
    Ok(())
}

/// The nodes inside a node's keys.
fn nested<'a>(keys: &'a [(Scalar, Value)], around: &str, nodes: &mut Vec<Node<'a>>) -> Result<(), Problem> {
    for (key, value) in keys.iter().filter(|(key, _)| KINDS.contains(&key.text.as_str())) {
        node(key, value, Some(around), nodes)?;
    }
    Ok(())
}

fn partition_entries<'a>(node: &Node<'a>) -> Result<&'a [Value], Problem> {
    match node.get("partitions") {
        Some(Value { kind: Kind::List(entries), .. }) if !entries.is_empty() => Ok(entries),
        _ => Err(node.problem(
            "`partitions` is missing; it is the list of the partitions, each with `name` and `size`",
            &node.place,
        )),
    }
}

fn header<'a>(
    kind: &'a str,
    keys: &'a [(Scalar, Value)],
    place: &Place,
    around: Option<&str>,
) -> Result<Node<'a>, Problem> {
    let own = keys.iter().filter(|(key, _)| !KINDS.contains(&key.text.as_str()));
    let keys = own.map(|(key, value)| (key, value)).collect();
    let mut node = Node { kind, name: String::new(), base: None, keys, partitions: Vec::new(), place: place.clone() };
    // A volume group's base is a list; LVM is refused later with a text of its own.
    node.base = match kind {
        "lvm" => None,
        _ => node.text("base")?.map(|(text, _)| text.to_owned()).or_else(|| around.map(str::to_owned)),
    };
    node.name = match (node.text("name")?, &node.base) {
        (Some((name, _)), _) => name.to_owned(),
        (None, Some(base)) if kind != "partition" => format!("{kind}_{base}"),
        (None, _) => return Err((format!("{kind}: `name` is missing"), place.clone())),
    };
    Ok(node)
}
