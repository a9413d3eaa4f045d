//! `kiln audit`, and policies that keep a plan from being made.

use std::fs;
use std::process::Command;

use crate::support::{Sandbox, stderr, stdout};

const WEB: &str = "const ELEMENT = #{ summary: \"s\", depends: [\"legacy\"], permissions: [\"write:/etc/web\", \"packages\"] };\nfn install(image) { }\n";

fn sandbox() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.element("web", &[("element.rhai", WEB)]);
    let elements = sandbox.element("legacy", &[("install.d/50-legacy", "#!/bin/sh\n")]);
    let hook = elements.join("legacy/install.d/50-legacy");
    fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    (sandbox, elements)
}

#[test]
fn grants_are_shown_element_by_element_and_together() {
    let (sandbox, elements) = sandbox();
    let output = sandbox.kiln(&["audit", "--elements-path", elements.to_str().unwrap(), "web"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output), @r"
    web
      packages
      write:/etc/web
    legacy
      unconfined: install.d/50-legacy

    all together: packages, write:/etc/web; 1 hooks that nothing confines
    ");
    let output =
        sandbox.kiln(&["audit", "--json", "--elements-path", elements.to_str().unwrap(), "web"]).output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["union"][1], "write:/etc/web");
    assert_eq!(value["elements"][1]["unconfined"][0], "install.d/50-legacy");
}

#[test]
fn what_a_policy_denies_fails_the_audit_and_the_plan() {
    let (sandbox, elements) = sandbox();
    let path = elements.to_str().unwrap();
    let run = |words: &[&str]| sandbox.kiln(&[words, &["--elements-path", path, "web"]].concat()).output().unwrap();
    assert!(run(&["audit", "--deny", "run,network"]).status.success());
    let denied = run(&["audit", "--deny", "run,packages"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(stderr(&denied).contains("the element `web` has the permission `packages`"), "{}", stderr(&denied));
    assert!(stdout(&denied).contains("all together"), "{}", stdout(&denied));
    let denied = run(&["plan", "--deny", "write:/etc", "debian-minimal"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(stderr(&denied).contains("the policy denies `write:/etc`"), "{}", stderr(&denied));
    let policy = elements.with_file_name("policy.yaml");
    fs::write(&policy, "deny: [shell, packages]\nallow:\n  web: [packages]\n").unwrap();
    let denied = run(&["plan", "--policy", policy.to_str().unwrap(), "debian-minimal"]);
    assert!(stderr(&denied).contains("the hook install.d/50-legacy, which nothing confines"), "{}", stderr(&denied));
    fs::write(&policy, "deny: [packages]\nallow:\n  web: [packages]\n").unwrap();
    assert!(run(&["plan", "--policy", policy.to_str().unwrap(), "debian-minimal"]).status.success());
    fs::write(&policy, "denny: [packages]\n").unwrap();
    assert!(stderr(&run(&["audit", "--policy", policy.to_str().unwrap()])).contains("denny"));
    assert!(stderr(&run(&["audit", "--deny", "pakages"])).contains("did you mean `packages`?"));
}

#[test]
fn what_grew_since_a_revision_is_shown_alone() {
    let (sandbox, elements) = sandbox();
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example"];
        let output = Command::new("git").arg("-C").arg(&elements).args(identity).args(words).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    let audit = |words: &[&str]| {
        let path = elements.to_str().unwrap();
        sandbox.kiln(&[&["audit", "--elements-path", path], words, &["web"]].concat()).output().unwrap()
    };
    assert_eq!(stdout(&audit(&["--since", "HEAD"])), "no element may do more than at HEAD\n");
    fs::write(
        elements.join("web/element.rhai"),
        WEB.replace("\"packages\"", "\"packages\", \"run\", \"write:/etc/web/x\""),
    )
    .unwrap();
    fs::write(elements.join("legacy/install.d/50-legacy"), "#!/bin/sh\nreboot\n").unwrap();
    let output = audit(&["--since", "HEAD"]);
    assert_eq!(stdout(&output), "web\n  + run\nlegacy\n  ~ unconfined: install.d/50-legacy\n", "{}", stderr(&output));
    let value: serde_json::Value = serde_json::from_slice(&audit(&["--since", "HEAD", "--json"]).stdout).unwrap();
    assert_eq!(value["elements"][0]["grew"]["grants"][0], "run");
    assert!(stderr(&audit(&["--since", "nothing"])).contains("has no revision `nothing`"));
}
