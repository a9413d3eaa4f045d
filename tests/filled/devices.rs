//! The bytes of a device of an image, found by the tools of others: sfdisk's partitions, LVM's volumes, cryptsetup's containers.
//!
//! The kernel has neither device-mapper nor a reader of partition tables here, so what it would put together is copied together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cut::copy;
use crate::support::approve;

/// LVM keeps to the devices that it is given, and writes nothing down.
const LVM: &str = "devices { use_devicesfile=0 } global { locking_type=1 } backup { backup=0 archive=0 }";

/// A loop device, detached when it is dropped.
pub struct Loop(pub String);

impl Loop {
    pub fn attach(file: &Path, sector_size: u64) -> Self {
        let size = sector_size.to_string();
        Self(approve("losetup", &["-f", "--show", "-r", "-b", &size, file.to_str().unwrap()]).trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["-d", &self.0]).status();
    }
}

/// Where bytes are copied from, in their order: file, first byte, how many.
type Pieces = Vec<(PathBuf, u64, u64)>;

/// The devices of a layout's images.
pub struct Devices<'a> {
    folder: &'a Path,
    layout: &'a Value,
    key: PathBuf,
    disks: BTreeMap<String, PathBuf>,
    found: RefCell<BTreeMap<String, PathBuf>>,
}

impl<'a> Devices<'a> {
    /// Of the raw images called `name` in `folder`; the file `key` opens their containers.
    pub fn new(folder: &'a Path, name: &str, layout: &'a Value, key: PathBuf) -> Self {
        let image = |disk: &Value| {
            let disk = disk["name"].as_str().unwrap().to_owned();
            let named = folder.join(format!("{name}.{disk}.raw"));
            let path = if named.exists() { named } else { folder.join(format!("{name}.raw")) };
            (disk, path)
        };
        let disks = array(layout, "disks").map(image).collect();
        Self { folder, layout, key, disks, found: RefCell::default() }
    }

    /// The image of the disk `name`.
    pub fn disk(&self, name: &str) -> &Path {
        &self.disks[name]
    }

    /// What sfdisk reads from a disk with a table.
    pub fn table(&self, disk: &Value) -> Value {
        let device = Loop::attach(self.disk(disk["name"].as_str().unwrap()), disk["sector_size"].as_u64().unwrap());
        serde_json::from_str::<Value>(&approve("sfdisk", &["-J", &device.0])).unwrap()["partitiontable"].clone()
    }

    /// A file with the bytes of the device `name`.
    pub fn bytes(&self, name: &str) -> PathBuf {
        if let Some(path) = self.found.borrow().get(name) {
            return path.clone();
        }
        let path = self.find(name);
        self.found.borrow_mut().insert(name.to_owned(), path.clone());
        path
    }

    fn find(&self, name: &str) -> PathBuf {
        if let Some(disk) = self.disks.get(name) {
            return disk.clone();
        }
        for disk in array(self.layout, "disks") {
            let parts = disk["partitions"].as_array().unwrap();
            if let Some(part) = parts.iter().find(|part| part["name"] == name) {
                let (start, size) = self.partition(disk, part["number"].as_u64().unwrap());
                let image = self.disk(disk["name"].as_str().unwrap()).to_owned();
                return self.copied(name, size, &vec![(image, start, size)]);
            }
        }
        if let Some(container) = array(self.layout, "luks").find(|container| container["name"] == name) {
            return self.decrypted(container);
        }
        let has = |group: &&Value| array(group, "volumes").any(|volume| volume["name"] == name);
        self.volume(array(self.layout, "volume_groups").find(has).unwrap(), name)
    }

    /// Where sfdisk finds the partition `number`: first byte and how many.
    fn partition(&self, disk: &Value, number: u64) -> (u64, u64) {
        let table = self.table(disk);
        let sector = table["sectorsize"].as_u64().unwrap();
        let node = format!("{}p{number}", table["device"].as_str().unwrap());
        let part = array(&table, "partitions").find(|part| part["node"] == node.as_str()).unwrap().clone();
        (part["start"].as_u64().unwrap() * sector, part["size"].as_u64().unwrap() * sector)
    }

    /// The content of a container, as cryptsetup decrypts it.
    fn decrypted(&self, container: &Value) -> PathBuf {
        let name = container["name"].as_str().unwrap();
        let outside = self.bytes(container["device"].as_str().unwrap());
        let inside = self.folder.join(format!("{name}.decrypted"));
        fs::copy(outside, &inside).unwrap();
        let header = self.folder.join(format!("{name}.header"));
        let words = ["reencrypt", "--decrypt", "--batch-mode", "--force-offline-reencrypt", "--header"];
        let files = [header.to_str().unwrap(), "--key-file", self.key.to_str().unwrap(), inside.to_str().unwrap()];
        approve("cryptsetup", &[&words[..], &files].concat());
        inside
    }

    /// The physical volumes of a group, attached, and what each is.
    pub fn physical_volumes(&self, group: &Value) -> Vec<(Loop, PathBuf)> {
        let file = |volume: &Value| self.bytes(volume["device"].as_str().unwrap());
        array(group, "physical_volumes").map(file).map(|file| (Loop::attach(&file, 512), file)).collect()
    }

    /// What LVM's `command` reports of the attached physical volumes.
    pub fn lvm(&self, command: &str, volumes: &[(Loop, PathBuf)], words: &[&str]) -> String {
        let devices = volumes.iter().map(|(device, _)| device.0.as_str()).collect::<Vec<_>>().join(",");
        // It would complain of what the test's own parent has left open.
        let quiet = ["LVM_SUPPRESS_FD_WARNINGS=1", command, "--config", LVM, "--devices", &devices];
        approve("env", &[&quiet[..], words].concat())
    }

    fn report(&self, command: &str, volumes: &[(Loop, PathBuf)], of: &str, words: &[&str]) -> Vec<Value> {
        let common = ["--reportformat", "json", "--units", "b", "--nosuffix"];
        let text = self.lvm(command, volumes, &[&common[..], words].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        report["report"][0][of].as_array().unwrap().clone()
    }

    fn volume(&self, group: &Value, name: &str) -> PathBuf {
        let attached = self.physical_volumes(group);
        let physical = self.report("pvs", &attached, "pv", &["-o", "pv_name,pe_start,vg_extent_size"]);
        let wanted = "lv_name,lv_size,segtype,seg_start,seg_pe_ranges,thin_id,pool_lv,data_lv,metadata_lv,chunk_size";
        let mut segments =
            self.report("lvs", &attached, "seg", &["-a", "--segments", "-o", wanted, group["name"].as_str().unwrap()]);
        segments.sort_by_key(|segment| number(&segment["seg_start"]));
        let whole = |name: &str| {
            let mut pieces = Pieces::new();
            let own: Vec<_> = segments.iter().filter(|segment| text(&segment["lv_name"]) == name).collect();
            for range in own.iter().map(|segment| segment["seg_pe_ranges"].as_str().unwrap()) {
                let (device, extents) = range.split_once(':').unwrap();
                let (first, last) = extents.split_once('-').unwrap();
                let at = physical.iter().find(|volume| volume["pv_name"] == device).unwrap();
                let extent = number(&at["vg_extent_size"]);
                let file = &attached.iter().find(|(attached, _)| attached.0 == device).unwrap().1;
                let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
                pieces.push((file.clone(), number(&at["pe_start"]) + first * extent, (last - first + 1) * extent));
            }
            self.copied(name, number(&own[0]["lv_size"]), &pieces)
        };
        let own = segments.iter().find(|segment| text(&segment["lv_name"]) == name).unwrap();
        if own["segtype"] != "thin" {
            return whole(name);
        }
        let pool = segments.iter().find(|segment| segment["lv_name"] == own["pool_lv"]).unwrap();
        let (data, metadata) = (whole(text(&pool["data_lv"])), whole(text(&pool["metadata_lv"])));
        approve("thin_check", &[metadata.to_str().unwrap()]);
        let dump = approve("thin_dump", &["--dev-id", text(&own["thin_id"]), metadata.to_str().unwrap()]);
        let chunk = number(&pool["chunk_size"]);
        let file = self.empty(name, number(&own["lv_size"]));
        let data = File::open(data).unwrap();
        let mut is_empty = true;
        for tag in dump.split('<') {
            let value = |name: &str| -> u64 {
                let part = tag.split(&format!("{name}=\"")).nth(1).unwrap();
                part.split('"').next().unwrap().parse().unwrap()
            };
            let (to, from, count) = match tag.split(' ').next().unwrap() {
                "single_mapping" => (value("origin_block"), value("data_block"), 1),
                "range_mapping" => (value("origin_begin"), value("data_begin"), value("length")),
                _ => continue,
            };
            is_empty = false;
            copy(&data, from * chunk, &file.1, to * chunk, count * chunk);
        }
        assert!(!is_empty, "{dump}");
        file.0
    }

    fn empty(&self, name: &str, size: u64) -> (PathBuf, File) {
        let path = self.folder.join(format!("{name}.bytes"));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        (path, file)
    }

    fn copied(&self, name: &str, size: u64, pieces: &Pieces) -> PathBuf {
        if let Some(path) = Some(self.folder.join(format!("{name}.bytes"))).filter(|path| path.exists()) {
            return path;
        }
        let (path, file) = self.empty(name, size);
        let mut at = 0;
        for (from, start, size) in pieces {
            copy(&File::open(from).unwrap(), *start, &file, at, *size);
            at += size;
        }
        assert_eq!(at, size, "{name}");
        path
    }
}

/// The elements of an array that need not be there.
pub fn array<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap().trim_matches(['[', ']'])
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}
