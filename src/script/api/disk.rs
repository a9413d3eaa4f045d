//! The disk's layout, in the words of DIB's block-device nodes. Needs `disk`; only the phase `block_device` may say it.
//!
//! Each verb makes nodes as a `block-device-*.yaml` holds them; whoever plans hands them to the same reader. So whatever that
//! reader knows can be said here too, nested as there. Not here: what the nodes mean (`disk/config`).

use rhai::plugin::*;
use rhai::{Array, Map};
use serde_json::{Value, json};

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::options;

/// The verbs that describe the disk.
pub const VERBS: [&str; 6] = ["describe_disk", "partition", "volume_group", "encrypt", "format_as", "mount_at"];

/// A script's value as a node holds it.
fn value(from: &Dynamic) -> Result<Value, HostError> {
    options::check_depth(from)?;
    rhai::serde::from_dynamic(from)
        .map_err(|_| HostError::usage("node", format!("a node cannot hold `{}`", from.type_name())))
}

/// Types of partitions are hexadecimal wherever they are written: `0x83` reached us as 131.
fn with_hexadecimal_types(node: &mut Value) {
    match node {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value.as_u64() {
                    Some(number) if key == "type" => *value = format!("0x{number:02x}").into(),
                    _ => with_hexadecimal_types(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_hexadecimal_types),
        _ => {}
    }
}

fn declare(ctx: &NativeCallContext<'_>, image: &Image, mut nodes: Vec<Value>) -> Result<(), HostError> {
    image.need(ctx, &Permission::Disk)?;
    if !image.describes_disk() {
        let error = HostError::new("disk.phase", format!("`{}` is for the phase `block_device`", ctx.fn_name()));
        return Err(error.help("the disk is laid out before the build begins: write `fn block_device(image) { … }`"));
    }
    nodes.iter_mut().for_each(with_hexadecimal_types);
    image.record(ctx, nodes.clone())?;
    for node in nodes {
        image.declare(ctx, node);
    }
    Ok(())
}

/// A map with what the verb itself says put before the options; the same key in both is an error.
fn node(kind: &str, own: Vec<(&str, Value)>, options: Map) -> Result<Value, HostError> {
    let mut keys = serde_json::Map::new();
    for (key, value) in own {
        keys.insert(key.to_owned(), value);
    }
    for (key, option) in options {
        if keys.contains_key(key.as_str()) {
            return Err(HostError::usage("option", format!("`{key}` of the {kind} is said already by an argument")));
        }
        keys.insert(key.into(), value(&option)?);
    }
    Ok(json!({ kind: keys }))
}

fn values(array: &Array) -> Result<Vec<Value>, HostError> {
    array.iter().map(value).collect()
}

fn partitions(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    disk: &str,
    table: &str,
    list: &Array,
    mut options: Map,
) -> Result<(), HostError> {
    let mut nodes = Vec::new();
    let of_disk: Map =
        ["size", "block_size", "directory"].iter().filter_map(|key| options.remove_entry(*key)).collect();
    if !image.has_declared("local_loop", disk) {
        nodes.push(node("local_loop", vec![("name", disk.into())], of_disk)?);
    } else if let Some(key) = of_disk.keys().next() {
        return Err(HostError::usage("option", format!("`{key}`: the disk `{disk}` is described already")));
    }
    let own = vec![("base", disk.into()), ("label", table.into()), ("partitions", values(list)?.into())];
    nodes.push(node("partitioning", own, options)?);
    declare(ctx, image, nodes)
}

fn group(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    name: &str,
    bases: &Array,
    volumes: &Array,
    options: Map,
) -> Result<(), HostError> {
    let bases: Vec<String> = bases.iter().map(ToString::to_string).collect();
    let pvs: Vec<Value> = bases.iter().map(|base| json!({ "name": format!("pv_{base}"), "base": base })).collect();
    let names: Vec<Value> = bases.iter().map(|base| format!("pv_{base}").into()).collect();
    let mut lvs = values(volumes)?;
    for volume in &mut lvs {
        let Value::Object(keys) = volume else {
            let error = HostError::usage("node", "a volume is a map");
            return Err(error.help("write `#{ name: \"root\", size: \"2GiB\" }` for each"));
        };
        keys.entry("base").or_insert_with(|| name.into());
    }
    let own = vec![
        ("name", format!("lvm_{name}").into()),
        ("pvs", pvs.into()),
        ("vgs", json!([{ "name": name, "base": names }])),
        ("lvs", lvs.into()),
    ];
    declare(ctx, image, vec![node("lvm", own, options)?])
}

/// The disk.
#[export_module]
pub mod verbs {
    /// Describes the disk by nodes as in a `block-device-*.yaml`, each a map with its kind as the only key.
    #[rhai_fn(return_raw)]
    pub fn describe_disk(ctx: NativeCallContext<'_>, image: &mut Image, nodes: Array) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(declare(&ctx, image, values(&nodes)?)?)
    }

    /// Gives a disk a partition table, `"gpt"` or `"mbr"`, with these partitions: `#{name, size, type, flags}` each, and nested
    /// `mkfs` as in YAML. The disk that is built is `image0`.
    #[rhai_fn(return_raw)]
    pub fn partition(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        disk: &str,
        table: &str,
        list: Array,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(partitions(&ctx, image, disk, table, &list, Map::new())?)
    }

    /// As above, with `#{align}` of the table and `#{size, block_size}` of the disk.
    #[rhai_fn(name = "partition", return_raw)]
    pub fn partition_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        disk: &str,
        table: &str,
        list: Array,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(partitions(&ctx, image, disk, table, &list, options)?)
    }

    /// Makes an LVM volume group on partitions, with these logical volumes: `#{name, size}` or `#{name, extents}` each.
    #[rhai_fn(return_raw)]
    pub fn volume_group(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        bases: Array,
        volumes: Array,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(group(&ctx, image, name, &bases, &volumes, Map::new())?)
    }

    /// Encrypts a partition or a volume with LUKS; what is on it names it as its base.
    #[rhai_fn(return_raw)]
    pub fn encrypt(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        base: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let own = vec![("name", name.into()), ("base", base.into())];
        Ok(declare(&ctx, image, vec![node("luks", own, options)?])?)
    }

    /// Makes a file system called `name` on a partition, a volume or a whole disk.
    #[rhai_fn(return_raw)]
    pub fn format_as(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        base: &str,
        kind: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let own = vec![("name", name.into()), ("base", base.into()), ("type", kind.into())];
        Ok(declare(&ctx, image, vec![node("mkfs", own, Map::new())?])?)
    }

    /// As above, with `#{label, opts, uuid}`.
    #[rhai_fn(name = "format_as", return_raw)]
    pub fn format_as_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        base: &str,
        kind: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let own = vec![("name", name.into()), ("base", base.into()), ("type", kind.into())];
        Ok(declare(&ctx, image, vec![node("mkfs", own, options)?])?)
    }

    /// Mounts a file system at a path of the image, and says so in `/etc/fstab`.
    #[rhai_fn(return_raw)]
    pub fn mount_at(ctx: NativeCallContext<'_>, image: &mut Image, base: &str, path: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(mount(&ctx, image, base, path, Map::new())?)
    }

    /// As above, with `#{options, "fsck-passno", "dump-freq"}` of its line in `/etc/fstab`.
    #[rhai_fn(name = "mount_at", return_raw)]
    pub fn mount_at_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        base: &str,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(mount(&ctx, image, base, path, options)?)
    }
}

fn mount(ctx: &NativeCallContext<'_>, image: &Image, base: &str, path: &str, options: Map) -> Result<(), HostError> {
    let options = value(&options.into())?;
    let own = vec![("base", base.into()), ("mount_point", path.into()), ("fstab", options)];
    declare(ctx, image, vec![node("mount", own, Map::new())?])
}
