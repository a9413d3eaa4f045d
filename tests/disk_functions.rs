//! Disks that elements describe in functions.

use kiln::disk::config::Config;
use kiln::plan::Plan;

use crate::support::{Sandbox, stderr, stdout};

/// An element that describes the disk with this body.
fn element(sandbox: &Sandbox, head: &str, body: &str) -> std::path::PathBuf {
    let text = format!(
        "{head}const ELEMENT = #{{ summary: \"s\", provides: [\"block-device\"], permissions: [\"disk\"], options: #{{ swap: #{{ type: \"string\", help: \"h\" }} }} }};\n\nfn block_device(image) {{\n{body}\n}}\n"
    );
    sandbox.element("block-device-mine", &[("element.rhai", &text)])
}

fn plan(sandbox: &Sandbox, words: &[&str]) -> Result<Plan, String> {
    let output = sandbox.kiln(&[&["plan", "--json", "vm", "debian-minimal"], words].concat()).output().unwrap();
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(stderr(&output)) }
}

/// A description without the lines of its text.
fn nodes(mut config: Config) -> Config {
    config.lines.clear();
    config
}

#[test]
fn the_library_s_layouts_are_those_of_the_elements_in_yaml() {
    for name in ["mbr", "gpt", "efi"] {
        let sandbox = Sandbox::new();
        let head = "import \"std/disk\" as disk;\n";
        let elements = element(&sandbox, head, &format!("disk::{name}(image, #{{}});"));
        let mine = plan(&sandbox, &["--elements-path", elements.to_str().unwrap(), "block-device-mine"]).unwrap();
        let yaml = plan(&sandbox, &[&format!("block-device-{name}")]).unwrap();
        assert_eq!(nodes(mine.disk.config), nodes(yaml.disk.config), "{name}");
        assert_eq!(mine.disk.origin, "block-device-mine/element.rhai");
    }
}

#[test]
fn verbs_and_raw_nodes_say_the_same() {
    let verbs = "    image.partition(\"image0\", \"mbr\", [#{ name: \"root\", size: \"100%\", \"type\": 0x83, flags: [\"boot\", \"primary\"] }]);
    image.format_as(\"mkfs_root\", \"root\", \"ext4\", #{ label: \"top\" });
    image.mount_at(\"mkfs_root\", \"/\", #{ options: \"noatime\", \"fsck-passno\": 1 });";
    let raw = "    image.describe_disk([
        #{ local_loop: #{ name: \"image0\" } },
        #{ partitioning: #{ base: \"image0\", label: \"mbr\", partitions: [
            #{ name: \"root\", size: \"100%\", \"type\": \"0x83\", flags: [\"boot\", \"primary\"], mkfs: #{
                name: \"mkfs_root\", \"type\": \"ext4\", label: \"top\",
                mount: #{ mount_point: \"/\", fstab: #{ options: \"noatime\", \"fsck-passno\": 1 } } } },
        ] } },
    ]);";
    let config = |body: &str| {
        let sandbox = Sandbox::new();
        let elements = element(&sandbox, "", body);
        let plan = plan(&sandbox, &["--elements-path", elements.to_str().unwrap(), "block-device-mine"]).unwrap();
        nodes(plan.disk.config)
    };
    assert_eq!(config(verbs), config(raw));
}

#[test]
fn an_option_may_decide() {
    let sandbox = Sandbox::new();
    let body = "    let o = #{ };\n    if image.option(\"swap\") != \"\" { o.swap = image.option(\"swap\"); }\n    disk::efi(image, o);";
    let elements = element(&sandbox, "import \"std/disk\" as disk;\n", body);
    let words = ["--elements-path", elements.to_str().unwrap(), "block-device-mine"];
    let points = |plan: &Plan| plan.disk.config.mount_points().len();
    assert_eq!(points(&plan(&sandbox, &words).unwrap()), 2);
    let with = plan(&sandbox, &[&words[..], &["--option", "block-device-mine.swap=1GiB"]].concat()).unwrap();
    assert_eq!(points(&with), 3);
}

#[test]
fn a_mistake_is_shown_at_its_line_in_the_function() {
    let sandbox = Sandbox::new();
    let body = "    image.describe_disk([#{ local_loop: #{ name: \"image0\" } }]);
    image.partition(\"image0\", \"gpt\", [#{ name: \"root\", size: \"100%\", \"type\": \"XX\" }]);
    image.format_as(\"mkfs_root\", \"root\", \"ext4\");
    image.mount_at(\"mkfs_root\", \"/\");";
    let elements = element(&sandbox, "", body);
    let said = plan(&sandbox, &["--elements-path", elements.to_str().unwrap(), "block-device-mine"]).unwrap_err();
    assert!(said.contains("`XX` is not a type of a GPT partition"), "{said}");
    assert!(said.contains("block-device-mine/element.rhai:5:11") && said.contains("image.partition("), "{said}");
}

#[test]
fn what_cannot_be_together_is_refused() {
    let sandbox = Sandbox::new();
    let elements = element(&sandbox, "import \"std/disk\" as disk;\n", "    disk::efi(image, #{ sise: 1 });");
    let words = ["--elements-path", elements.to_str().unwrap(), "block-device-mine"];
    let said = plan(&sandbox, &words).unwrap_err();
    assert!(said.contains("std/disk has no option sise"), "{said}");
    element(&sandbox, "import \"std/disk\" as disk;\n", "    disk::efi(image, #{});");
    let extra = "const ELEMENT = #{ summary: \"s\" };\n";
    let yaml = std::fs::read_to_string("elements/block-device-efi/block-device-default.yaml").unwrap();
    sandbox.element("other", &[("element.rhai", extra), ("block-device-default.yaml", &yaml)]);
    let said = plan(&sandbox, &[&words[..], &["other"]].concat()).unwrap_err();
    assert!(said.contains("describes the disk, and so does a file of `other`"), "{said}");
}

#[test]
fn without_the_permission_the_function_is_not_run_to_plan() {
    let sandbox = Sandbox::new();
    let text = "const ELEMENT = #{ summary: \"s\" };\nfn block_device(image) { image.fail(\"ran\"); }\n";
    let elements = sandbox.element("mine", &[("element.rhai", text)]);
    let output = sandbox
        .kiln(&["plan", "--elements-path", elements.to_str().unwrap(), "mine", "debian-minimal"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn volumes_and_encryption_are_said_as_in_yaml() {
    let sandbox = Sandbox::new();
    let body = "    disk::efi_lvm(image, #{}, [
        #{ name: \"lv_root\", size: \"4GiB\", mount: \"/\", \"type\": \"ext4\" },
        #{ name: \"lv_var\", size: \"2GiB\", mount: \"/var\", \"type\": \"xfs\" },
    ]);";
    let elements = element(&sandbox, "import \"std/disk\" as disk;\n", body);
    let words = ["--elements-path", elements.to_str().unwrap(), "block-device-mine"];
    assert_eq!(plan(&sandbox, &words).unwrap().disk.config.mount_points(), ["/", "/boot", "/boot/efi", "/var"]);
    let body = "    image.partition(\"image0\", \"gpt\", [#{ name: \"boot\", size: \"1GiB\" }, #{ name: \"safe\", size: \"100%\" }]);
    image.encrypt(\"opened\", \"safe\", #{ secret: \"disk\" });
    image.format_as(\"mkfs_boot\", \"boot\", \"ext4\");
    image.format_as(\"mkfs_root\", \"opened\", \"ext4\");
    image.mount_at(\"mkfs_boot\", \"/boot\");
    image.mount_at(\"mkfs_root\", \"/\");";
    element(&sandbox, "", body);
    let plan = plan(&sandbox, &words).unwrap();
    assert_eq!(plan.disk.config.luks[0].secret, "disk");
}
