//! Every layout, built with content by the program and judged by the tools of others: tables, volumes, containers, file systems, and
//! what is in them against the same build's archive.

mod content;
mod devices;
mod judges;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use self::content::Tree;
use self::devices::{Devices, array};
use crate::support::{stderr, stdout};
use crate::workshop::Workshop;

/// What fills the images: something at every mount point that a layout has, and what is easily lost on the way.
const FURNITURE: &str = r#"#!/bin/bash
set -euo pipefail
cd "$TARGET_ROOT"
mkdir -p boot/efi boot/firmware etc home srv tmp usr/bin var/log
for folder in . boot boot/efi boot/firmware home srv usr var var/log; do
    echo "this is /$folder" > "$folder/marker"
    seq 5000 > "$folder/Some longer name.txt"
done
head -c 300000 /dev/urandom > usr/bin/tool
chmod 4755 usr/bin/tool
ln usr/bin/tool usr/bin/same
ln -s usr/bin bin
chmod 1777 tmp
mkdir -p home/somebody/a/b/c
ln -s ../../marker home/somebody/a/link
echo mine > home/somebody/notes
chown -R 1000:1001 home/somebody
chmod 0700 home/somebody
touch -d '2001-09-09 01:46:40 UTC' home/somebody/notes
mkfifo var/log/pipe
"#;

/// Where a layout is described.
enum Described {
    /// Nowhere: the default.
    Default,
    /// By a file of an element that comes with kiln.
    Shipped(&'static str),
    /// By an example of this repository.
    Example(&'static str),
}

use Described::{Default, Example, Shipped};

impl Described {
    fn file(&self) -> Option<PathBuf> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self {
            Default => None,
            Shipped(name) => Some(repository.join("elements").join(name).with_extension("yaml")),
            Example(name) => Some(repository.join("src/disk/testdata/layouts").join(name).with_extension("yaml")),
        }
    }
}

macro_rules! layouts {
    ($($name:ident: $described:expr, $size:literal;)*) => {
        $(#[test] fn $name() { judge(stringify!($name), &$described, $size); })*

        #[test]
        fn the_table_has_the_shipped_layouts_and_all_examples() {
            let mut files: Vec<_> = [$($described),*].iter().filter_map(Described::file).collect();
            files.sort();
            assert!(files.len() >= 20, "{}", files.len());
            assert_eq!(files, described());
        }
    };
}

layouts! {
    whole_disk: Default, "300MiB";
    mbr: Shipped("block-device-mbr/block-device-default"), "300MiB";
    mbr_of_powerpc: Shipped("block-device-mbr/block-device-ppc64el"), "300MiB";
    gpt: Shipped("block-device-gpt/block-device-default"), "300MiB";
    gpt_of_powerpc: Shipped("block-device-gpt/block-device-ppc64el"), "300MiB";
    efi: Shipped("block-device-efi/block-device-default"), "900MiB";
    efi_4k: Shipped("block-device-efi-4k/block-device-default"), "900MiB";
    efi_lvm: Shipped("block-device-efi-lvm/block-device-default"), "42GiB";
    mbr_logical: Example("mbr-logical"), "7629MiB";
    mbr_align: Example("mbr-align"), "300MiB";
    mbr_four_primary: Example("mbr-four-primary"), "1073807360B";
    mbr_4k: Example("mbr-4k"), "2GiB";
    gpt_shares: Example("gpt-shares"), "10GiB";
    gpt_graph: Example("gpt-graph"), "1GiB";
    two_disks: Example("two-disks"), "300MiB";
    lvm_two_disks: Example("lvm-two-disks"), "3GiB";
    lvm_thin: Example("lvm-thin"), "2GiB";
    luks: Example("luks"), "850MiB";
    lvm_on_luks: Example("lvm-on-luks"), "950MiB";
    luks_on_lvm: Example("luks-on-lvm"), "1500MiB";
    btrfs_subvolumes: Example("btrfs-subvolumes"), "600MiB";
    verity: Example("verity"), "1500MiB";
    erofs_on_lvm: Example("erofs-on-lvm"), "1500MiB";
    squashfs_mbr: Example("squashfs-mbr"), "300MiB";
    flexible_gpt: Example("flexible-gpt"), "10GiB";
    flexible_mbr: Example("flexible-mbr"), "8GiB";
    hybrid: Example("hybrid"), "600MiB";
}

/// Every description that comes with kiln, and every example.
fn described() -> Vec<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = fs::read_dir(repository.join("elements")).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|folder| folder.is_dir()).chain([repository.join("src/disk/testdata/layouts")]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut found: Vec<_> = files
        .filter(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            name.ends_with(".yaml")
                && (name.starts_with("block-device-") || file.parent().unwrap().ends_with("layouts"))
        })
        .collect();
    found.sort();
    found
}

/// Builds an image of `size` with this layout by each writer, and lets everyone judge it.
fn judge(name: &str, described: &Described, size: &str) {
    let case = Case::new(name, described, size);
    let output = case.build("direct");
    assert!(output.status.success(), "{}", stderr(&output));
    case.judge("direct");
    let output = case.build("loop");
    // What takes more than a loop device is refused, and so is a root that hooks could not write to.
    let needs_mapper = ["volume_groups", "luks", "verity"].iter().any(|what| array(&case.layout, what).count() > 0);
    let is_packed = |filesystem: &Value| filesystem["mount_point"] == "/" && filesystem["type"] == "squashfs";
    let whys = if array(&case.layout, "filesystems").any(is_packed) && !needs_mapper {
        ["a hook wants it mounted at /, and nobody can write to squashfs"; 2]
    } else if needs_mapper {
        ["this machine's kernel has no device-mapper", "kiln does not activate it here"]
    } else {
        assert!(output.status.success(), "{}", stderr(&output));
        return case.judge("loop");
    };
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(whys.iter().any(|why| said.contains(why)), "{said}");
    assert!(!said.contains("root: begins"), "it is said late: {said}");
}

#[test]
fn without_a_size_there_is_room_for_what_each_file_system_holds() {
    let large = "#!/bin/bash\nhead -c 30000000 /dev/urandom | tee $TARGET_ROOT/var/large > $TARGET_ROOT/home/large\n";
    for name in ["mbr-logical", "verity", "btrfs-subvolumes", "lvm-on-luks", "lvm-thin"] {
        let case = Case::new("sized", &Example(name), "");
        case.shop.element("furniture", &[("root.d/30-large", large)]);
        let output = case.build("direct");
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let folder = case.shop.path().join("direct");
        case.judge_files(&Devices::new(&folder, "sized", &case.layout, case.shop.path().join("key")), &folder);
    }
}

/// A layout to build, with a size unless that is empty.
struct Case {
    shop: Workshop,
    name: String,
    size: String,
    file: PathBuf,
    layout: Value,
}

impl Case {
    fn new(name: &str, described: &Described, size: &str) -> Self {
        let shop = Workshop::new();
        shop.element("furniture", &[("root.d/20-furniture", FURNITURE)]);
        fs::write(shop.path().join("key"), "open sesame").unwrap();
        let file = described.file().unwrap_or_else(|| {
            let whole = shop.path().join("whole.yaml");
            fs::write(&whole, kiln::disk::config::DEFAULT).unwrap();
            whole
        });
        let mut words = vec!["layout", "--json", file.to_str().unwrap()];
        words.extend(["--image-size", size].iter().filter(|_| !size.is_empty()));
        let output = shop.sandbox.kiln(&words).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let layout = serde_json::from_str(&stdout(&output)).unwrap();
        Self { name: name.to_owned(), size: size.to_owned(), shop, file, layout }
    }

    /// Builds it into the folder called after the writer.
    fn build(&self, writer: &str) -> Output {
        fs::create_dir(self.shop.path().join(writer)).unwrap();
        let (output, size) = (format!("{writer}/{}", self.name), &self.size);
        let mut words = vec!["build", "-n", "-t", "raw,tar", "-o", &output];
        words.extend(["--image-size", size].iter().filter(|_| !size.is_empty()));
        words.extend(["--disk-writer", writer, "--elements-path", "elements"]);
        words.extend(["--secret", "disk=key", "--secret", "home=key", "mini", "furniture"]);
        let mut command = self.shop.sandbox.kiln(&words);
        // The one that is built without a description is this one.
        if !self.file.starts_with(self.shop.path()) {
            command.env("DIB_BLOCK_DEVICE_CONFIG", format!("file://{}", self.file.to_str().unwrap()));
        }
        command.output().unwrap()
    }

    fn judge(&self, writer: &str) {
        let (layout, folder) = (&self.layout, self.shop.path().join(writer));
        let devices = Devices::new(&folder, &self.name, layout, self.shop.path().join("key"));
        array(layout, "disks").for_each(|disk| judges::table(&devices, disk));
        array(layout, "volume_groups").for_each(|group| judges::volume_group(&devices, group));
        array(layout, "luks").for_each(|container| judges::container(&devices, container));
        self.judge_files(&devices, &folder);
        array(layout, "verity").for_each(|verity| judges::verified(&devices, verity, &folder.join(&self.name)));
    }

    fn judge_files(&self, devices: &Devices<'_>, folder: &Path) {
        let layout = &self.layout;
        let tree = Tree::of_archive(&folder.join(format!("{}.tar", self.name)), &folder.join("archive"));
        assert_eq!(fs::read_to_string(tree.root().join("etc/fstab")).unwrap(), layout["fstab"].as_str().unwrap());
        for filesystem in array(layout, "filesystems") {
            let bytes = devices.bytes(filesystem["device"].as_str().unwrap());
            judges::file_system(&bytes, filesystem);
            content::compare(&tree, layout, filesystem, &bytes);
        }
    }
}
