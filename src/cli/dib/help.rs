//! The help texts of DIB's commands.

use crate::request::Kind;

/// The help of `disk-image-create` or `ramdisk-image-create`, called `program`.
pub fn create(program: &str, kind: Kind) -> String {
    let what = match kind {
        Kind::Disk => "Builds an image from elements. kiln's commands and elements in place of diskimage-builder's.",
        Kind::Ramdisk => {
            "Builds a kernel and an initial RAM file system from elements: NAME.kernel and NAME.initramfs."
        }
    };
    let formats = super::request::format_names();
    format!(
        "Usage: {program} [OPTION]... ELEMENT...

{what}
One of the elements must provide an operating system. Options may stand anywhere and be shortened.

The image:
  -a ARCH                   architecture: amd64, arm64 ... (default: ARCH, else this machine's)
  -o NAME                   path of the image without suffix (default: IMAGE_NAME, else image)
  -t TYPE[,TYPE]...         what to make: {formats} (default: qcow2)
  -p PACKAGE[,PACKAGE]...   install these packages too; may be repeated
  -n                        leave out the element `base`
  -u                        do not compress qcow2
  --checksum                write .md5 and .sha256 files beside the outputs
  --image-size GIB          size of the disk (default: what the tree needs)
  --image-extra-size MIB    room beyond what the tree needs
  --root-label LABEL        label of the root file system
  --mkfs-options OPTIONS    more options for mkfs of the root file system
  --mkfs-journal-size MIB   size of its journal (default: 64)
  --max-online-resize N     blocks up to which it can grow while mounted
  --qemu-img-options K=V[,K=V]...
                            options of every conversion by qemu-img
  --docker-target REPO:TAG  name of the docker image; -t docker needs it
  --ramdisk-element ELEMENT what makes a RAM disk (default: ramdisk; only ramdisk-image-create)
  --install-type TYPE       source or package: how elements install software (default: source)

The build:
  -x                        trace what is run; -xx traces more
  -c                        use nothing of the environment but proxies, HOME and PATH
  --offline                 ask elements to use what they have cached
  --image-cache FOLDER      where elements keep downloads (default: ~/.cache/image-create)
  --logfile FILE            append the output to FILE instead of showing it (see DIB_QUIET)
  --no-tmpfs                make the build on disk; with --no-cache it is made in memory where enough is free
  --min-tmpfs GIB           a quarter of the memory that must be free for that (default: 2)

Only in kiln:
  --dib-strict              reproduce defects of diskimage-builder that an image may depend on
  --confine                 shell hooks write only in the build's folders and have no network of their own
  --disk-writer WRITER      auto, direct, or loop: write the image without block devices, or through a loop device
  --store FOLDER            what is kept between builds (default: KILN_STORE, else kiln in the user's cache)
  --no-cache                run every step, whatever earlier builds left in the store
  --max-age DURATION        how long results from the network are reused: 90s, 30m, 6h, 2d (default: 6h)

  -h, --help                show this
  --version                 show the version

Variables, among others:
  ELEMENTS_PATH             folders that hold elements, separated by colons, before kiln's own
  DIB_NO_TIMESTAMP=1        no date and time before each line
  DIB_QUIET                 1: show only failures; 0: show everything also with --logfile
  OVERWRITE_OLD_IMAGE=1     replace an image of the same name instead of renaming it
  break=before-PHASE,after-PHASE,after-error
                            open a shell there

Example:
  ELEMENTS_PATH=~/elements {program} -o web vm debian-minimal my-web
"
    )
}

/// The usage of `diskimage-builder`.
pub const BUILDER_USAGE: &str = "usage: diskimage-builder [-h] [--dry-run] [--stop-on-failure] FILE...";

/// The help of `diskimage-builder`.
pub fn builder() -> String {
    let mut text = format!(
        "{BUILDER_USAGE}

Builds the images that YAML files describe, one after the other. A file is a list of maps, one for each image; entries
with the same imagename are one. The keys are:

"
    );
    for key in super::definition::all_keys() {
        text += &format!("  {:<19} {:<28} {}\n", key.name, key.expected.text(), key.help);
    }
    text += "
options:
  -h, --help         show this
  --dry-run          show the commands, run none
  --stop-on-failure  build no more images after one has failed
";
    text
}

/// The usage of `element-info`.
pub const INFO_USAGE: &str = "usage: element-info [-h] [-e|--env] ELEMENT...";

/// The help of `element-info`.
pub fn info() -> String {
    format!(
        "{INFO_USAGE}

Shows the elements that the named ones need, themselves included, in the order of an image.

options:
  -h, --help  show this
  -e, --env   show them as statements for bash: IMAGE_ELEMENT, IMAGE_ELEMENT_YAML, get_image_element_array

ELEMENTS_PATH holds the folders of elements, separated by colons, before kiln's own.
"
    )
}
