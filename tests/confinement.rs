//! `--confine`: what shell hooks may reach.

use std::fs;

use crate::support::{stderr, stdout};
use crate::workshop::Workshop;

/// A hook on the host's side that tries what it should not do, and what it must be able to do.
const OUTSIDE: &str = r#"#!/bin/bash
exec > "$TMP_MOUNT_PATH/etc/NAME" 2>/dev/null
try() { if eval "$1"; then echo "yes $1"; else echo "no $1"; fi; }
try 'echo x > outside'
try 'rm precious'
try 'mount --bind /tmp $TMP_MOUNT_PATH/tmp'
try 'echo x > $TMP_HOOKS_PATH/new'
try 'rm $(mktemp)'
try 'echo x > /dev/null'
try 'echo x > $DIB_IMAGE_CACHE/cached'
try 'mv $TMP_HOOKS_PATH/new $TMP_MOUNT_PATH/etc/moved'
grep -o '^ *[^ ]*:' /proc/net/dev | tr -d ' ' | sort | tr -d '\n'
"#;

/// Who has been asked, and what was answered.
fn answers(workshop: &Workshop, name: &str) -> (Vec<String>, String) {
    let text = workshop.read(&format!("etc/{name}"));
    let (lines, networks): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains(' '));
    (lines.into_iter().map(str::to_owned).collect(), networks.concat())
}

fn prepared() -> Workshop {
    let workshop = Workshop::new();
    fs::write(workshop.path().join("precious"), "precious").unwrap();
    let inside = "#!/bin/bash\necho x > /etc/inside && grep -c : /proc/net/dev > /etc/networks\n";
    workshop.element("plain", &[("extra-data.d/50-x", &OUTSIDE.replace("NAME", "plain")), ("install.d/50-x", inside)]);
    let manifest = "const ELEMENT = #{ summary: \"s\", permissions: [\"network\"] };\n";
    workshop.element(
        "networked",
        &[("extra-data.d/60-x", &OUTSIDE.replace("NAME", "networked")), ("element.rhai", manifest)],
    );
    workshop
}

/// The interfaces of this machine, as the hooks write them.
fn interfaces() -> String {
    let text = fs::read_to_string("/proc/net/dev").unwrap();
    let mut names: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    names.sort();
    names.iter().map(|name| format!("{name}:")).collect()
}

#[test]
fn confined_hooks_write_in_the_builds_folders_only_and_have_a_network_when_their_element_declares_it() {
    let workshop = prepared();
    let output = workshop.command(&["plain", "networked", "--confine"]).output().unwrap();
    if stderr(&output).contains("the kernel must have Landlock") {
        assert_eq!(output.status.code(), Some(1));
        return;
    }
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["plain", "networked"] {
        let (lines, networks) = answers(&workshop, name);
        let said: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(said, ["no", "no", "no", "yes", "yes", "yes", "yes", "yes"], "{name}: {lines:#?}");
        let expected = if name == "plain" { "lo:".to_owned() } else { interfaces() };
        assert_eq!(networks, expected, "{name}");
    }
    assert_eq!(workshop.read("etc/networks"), "1\n", "only the loopback is there");
    assert!(!workshop.path().join("outside").exists());
    assert_eq!(fs::read_to_string(workshop.path().join("precious")).unwrap(), "precious");
    let plan = workshop.sandbox.kiln(&[
        "plan",
        "-n",
        "--elements-path",
        "elements",
        "mini",
        "plain",
        "networked",
        "--confine",
    ]);
    let text = stdout(&{ plan }.output().unwrap());
    for line in [
        "plain: extra-data.d/50-x on the host's side, read by /bin/bash, confined\n",
        "networked: extra-data.d/60-x on the host's side, read by /bin/bash, confined, with network\n",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn without_the_wish_hooks_are_as_free_as_under_dib() {
    let workshop = prepared();
    workshop.build(&["plain"]);
    let (lines, networks) = answers(&workshop, "plain");
    assert!(lines.iter().all(|line| line.starts_with("yes ")), "{lines:#?}");
    assert_eq!(networks, interfaces());
    assert!(workshop.path().join("outside").exists() && !workshop.path().join("precious").exists());
}

#[test]
fn environment_d_is_confined_too() {
    let workshop = Workshop::new();
    workshop.element(
        "a",
        &[("environment.d/10-x", "export COULD=$(echo x > \"$OLDPWD_OF_TEST/outside\" && echo yes || echo no)\n")],
    );
    workshop.element("a", &[("extra-data.d/50-x", "#!/bin/bash\necho $COULD > $TMP_MOUNT_PATH/etc/could\n")]);
    let mut command = workshop.command(&["a", "--confine"]);
    let output = command.env("OLDPWD_OF_TEST", workshop.path()).output().unwrap();
    if stderr(&output).contains("the kernel must have Landlock") {
        return;
    }
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(workshop.read("etc/could"), "no\n");
    assert!(!workshop.path().join("outside").exists());
}
