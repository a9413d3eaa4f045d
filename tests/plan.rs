//! `kiln plan`: readable, exact, quick.

use std::time::Duration;

use crate::support::{Sandbox, processor_time_of, stderr, stdout};

#[test]
fn a_plan_shows_every_phase_that_has_steps_and_what_scripts_may_do() {
    let sandbox = Sandbox::new();
    let output = sandbox.kiln(&["plan", "-o", "web", "vm", "debian-minimal"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for line in
        ["image      web (debian stable", "bootstrap with apt", "generate the initramfs", "boot loader grub", "[write:"]
    {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    let order = ["\nroot\n", "\npre-install\n", "\nblock-device\n", "\nfinalise\n", "\ncleanup\n"];
    let places: Vec<_> =
        order.iter().map(|phase| text.find(phase).unwrap_or_else(|| panic!("no {phase} in:\n{text}"))).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn vm_without_a_block_device_adds_mbr() {
    let sandbox = Sandbox::new();
    let text = |words: &[&str]| stdout(&sandbox.kiln(words).output().unwrap());
    assert!(text(&["plan", "vm", "debian-minimal"]).contains("disk       block-device-mbr/"));
    assert!(text(&["plan", "vm", "debian-minimal", "block-device-efi"]).contains("disk       block-device-efi/"));
    assert!(text(&["plan", "-a", "arm64", "vm", "debian-minimal"]).contains("disk       block-device-efi/"));
}

#[test]
fn the_json_is_a_plan_and_the_same_each_time() {
    let sandbox = Sandbox::new();
    let json = || stdout(&sandbox.kiln(&["plan", "--json", "vm", "debian-minimal"]).output().unwrap());
    let (one, other) = (json(), json());
    assert_eq!(one, other);
    let plan: kiln::plan::Plan = serde_json::from_str(&one).unwrap();
    assert_eq!(plan.version, kiln::plan::VERSION);
    assert!(plan.steps.len() > 10);
    assert!(plan.steps.iter().all(|step| step.inputs.len() == 64));
}

#[test]
fn a_steps_inputs_change_with_what_it_can_see_and_with_nothing_else() {
    let sandbox = Sandbox::new();
    let elements = sandbox.element(
        "web",
        &[
            ("element.rhai", "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/srv\"] };\nfn install(image) { image.write_file(\"/srv/a\", \"x\"); }"),
            ("static/page", "one"),
        ],
    );
    let inputs = |words: &[&str]| {
        let mut all = vec!["plan", "--json", "--elements-path", elements.to_str().unwrap(), "web", "debian-minimal"];
        all.extend(words);
        let output = sandbox.kiln(&all).output().unwrap();
        let plan: kiln::plan::Plan =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let of = |id: &str| plan.steps.iter().find(|step| step.id.contains(id)).unwrap().inputs.clone();
        (of("bootstrap"), of("50-web/web"))
    };
    let before = inputs(&[]);
    assert_eq!(inputs(&["-t", "raw"]), before, "an output format reaches no step");
    std::fs::write(elements.join("web/static/page"), "two").unwrap();
    let after = inputs(&[]);
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
    let with_package = inputs(&["-p", "nginx"]);
    assert_ne!(with_package.0, after.0);
}

#[test]
fn packages_that_the_disk_asks_for_are_listed_and_planned() {
    let sandbox = Sandbox::new();
    let elements = ["block-device-efi-lvm", "vm", "debian-minimal"];
    let listed = sandbox.kiln(&[&["packages"], &elements[..]].concat()).output().unwrap();
    assert!(listed.status.success(), "{}", stderr(&listed));
    let planned = sandbox.kiln(&[&["plan", "--json"], &elements[..]].concat()).output().unwrap();
    let effects = sandbox.kiln(&[&["plan", "--effects", "--distro", "fedora"], &elements[..2]].concat()).output();
    assert!(effects.unwrap().status.success());
    for name in ["lvm2", "xfsprogs"] {
        assert!(stdout(&listed).contains(&format!(" {name} ")), "{name}: {}", stdout(&listed));
        assert!(stdout(&planned).contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn planning_takes_less_than_50_ms() {
    let sandbox = Sandbox::new();
    // The processor's time, and the least of several: other tests use the processors too.
    let times = (0..10).map(|_| processor_time_of(&sandbox.kiln(&["plan", "vm", "debian-minimal"])));
    let quickest = times.min().unwrap();
    assert!(quickest < Duration::from_millis(50), "planning took {quickest:?}");
}

#[test]
fn no_secret_of_the_environment_is_shown() {
    let sandbox = Sandbox::new();
    let hook = sandbox.element("a", &[("install.d/50-x", "#!/bin/bash\n")]);
    std::fs::set_permissions(hook.join("a/install.d/50-x"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let mut command = sandbox.kiln(&["plan", "--json", "--elements-path", "elements", "a", "debian-minimal"]);
    command.env("DIB_DEV_USER_PASSWORD", "hunter2").env("AWS_SECRET_ACCESS_KEY", "hunter2").env("PLAIN", "shown");
    let output = command.env("http_proxy", "http://me:hunter2@proxy.example:3128").output().unwrap();
    let text = stdout(&output);
    assert!(output.status.success() && text.contains("\"PLAIN\": \"shown\""), "{}", stderr(&output));
    let leaks: Vec<&str> = text.lines().filter(|line| line.contains("hunter2")).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}
