//! Builds of which nothing is kept are made in memory where enough is free.

use crate::support::{stderr, stdout};
use crate::workshop::Workshop;

/// How many of the mounts that a hook sees are the build's memory; and a layer hides a file of one below it.
const HOOK: &str = "#!/bin/bash\ngrep -c ' - tmpfs kiln ' /proc/self/mountinfo > \"$TMP_MOUNT_PATH/etc/memory\"\n\
                    rm \"$TMP_MOUNT_PATH/etc/gone\"\n";

/// Builds with `variables` and `words`: whether it was in memory, as the hook saw it and as the user was told.
fn in_memory(variables: &[(&str, &str)], words: &[&str]) -> (bool, bool) {
    let workshop = Workshop::new();
    let hooks =
        [("root.d/20-file", "#!/bin/bash\ntouch \"$TARGET_ROOT/etc/gone\"\n"), ("extra-data.d/50-memory", HOOK)];
    workshop.element("a", &hooks);
    let output = workshop.command(&[words, &["a"]].concat()).envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!workshop.has("etc/gone"), "what a layer hides came back");
    let said = format!("{}{}", stdout(&output), stderr(&output));
    (workshop.read("etc/memory") != "0\n", said.contains("the build is made in memory"))
}

#[test]
fn a_build_is_made_in_memory_when_nothing_of_it_is_kept_and_the_user_lets_it() {
    // What a small machine has is enough then.
    let little = ("DIB_MIN_TMPFS", "0");
    assert_eq!(in_memory(&[little], &["--no-cache"]), (true, true));
    for (variables, words) in [
        (&[little][..], &[][..]),
        (&[little, ("DIB_NO_TMPFS", "1")], &["--no-cache"]),
        (&[("DIB_MIN_TMPFS", "1000000")], &["--no-cache"]),
    ] {
        assert_eq!(in_memory(variables, words), (false, false), "{variables:?} {words:?}");
    }
}
