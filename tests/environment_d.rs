//! What files of `environment.d` make of the shell that reads them reaches the hooks, as it does under `dib-run-parts`.

use std::fs;
use std::process::Command;

use crate::support::{approve, upstream_elements};
use crate::workshop::Workshop;

/// All that a file can do to its shell. What is lowered was higher before.
const FILE: &str = "ulimit -S -n 300\nulimit -H -n 400\nulimit -s 4096\nulimit -S -c 0\numask 027\ncd /\n\
                    trap '' USR2\ntrap 'true' USR1\nshopt -s extglob\nset -f\nalias seen=true\n\
                    own() { :; }\nhanded() { :; }\nexport -f handed\nexport EXPORTED=yes\nSILENT=yes\n";

/// Looks at the shell that it is; `TREE` is where the image is.
const LOOK: &str = r#"#!/bin/bash
{
    for letter in c n s; do
        echo "$letter $(ulimit -S -$letter) $(ulimit -H -$letter)"
    done
    umask
    pwd
    trap -p
    alias
    declare -F own handed
    shopt extglob
    echo "${EXPORTED-none} ${SILENT-none} $-"
} >> "TREE/etc/seen"
"#;

/// What a hook sees under upstream's own `dib-run-parts`.
fn under_dib() -> String {
    let workshop = Workshop::new();
    let look = LOOK.replace("TREE", "$TMP_MOUNT_PATH");
    workshop.element("a", &[("environment.d/10-x", FILE), ("extra-data.d/10-look", &look)]);
    let tree = workshop.path().join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    let mut run = Command::new("bash");
    // A copy that another process made: what this one has written may still be open in a child of another test, and is then too busy
    // to be executed.
    let hooks = workshop.path().join("hooks");
    approve("cp", &["-a", workshop.path().join("elements/a").to_str().unwrap(), hooks.to_str().unwrap()]);
    run.arg(upstream_elements().join("../lib/dib-run-parts")).arg(hooks.join("extra-data.d"));
    let output = run.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TMP_MOUNT_PATH", &tree).output();
    assert!(output.unwrap().status.success());
    fs::read_to_string(tree.join("etc/seen")).unwrap()
}

#[test]
fn limits_mask_folder_and_ignored_signals_reach_hooks_in_both_places_as_under_dib() {
    let dib = under_dib();
    for line in ["n 300 400", "s 4096 4096", "0027", "/", "trap -- '' SIGUSR2", "handed", "yes none hB"] {
        assert!(dib.lines().any(|found| found == line), "no `{line}` in\n{dib}");
    }
    let workshop = Workshop::new();
    let (host, image) = (LOOK.replace("TREE", "$TMP_MOUNT_PATH"), LOOK.replace("TREE", ""));
    workshop
        .element("a", &[("environment.d/10-x", FILE), ("extra-data.d/10-look", &host), ("install.d/10-look", &image)]);
    workshop.build(&["a"]);
    assert_eq!(workshop.read("etc/seen"), format!("{dib}{dib}"));
}

#[test]
fn limits_reach_the_images_tool_for_packages_but_not_where_environment_d_has_no_say() {
    let workshop = Workshop::new();
    let tool = "#!/bin/bash\nprintf '#!/bin/bash\\necho \"$* $(ulimit -n) $(umask)\" >> /etc/asked\\n' \
                > \"$TMP_MOUNT_PATH/bin/install-packages\"\nchmod +x \"$TMP_MOUNT_PATH/bin/install-packages\"\n";
    let installs = "const ELEMENT = #{ summary: \"packages\", permissions: [] };\n";
    workshop.element("package-installs", &[("element.rhai", installs)]);
    workshop.element(
        "a",
        &[
            ("extra-data.d/50-tool", tool),
            ("environment.d/10-x", "ulimit -n 333\numask 027\n"),
            ("package-installs.yaml", "declared:\n"),
        ],
    );
    workshop.build(&["-p", "extra", "package-installs", "a"]);
    let asked = workshop.read("etc/asked");
    let lines: Vec<&str> = asked.lines().collect();
    let [declared, extra] = lines[..] else { panic!("{asked}") };
    assert_eq!(declared, "-m a declared 333 0027");
    let limit =
        extra.strip_prefix("extra ").and_then(|rest| rest.strip_suffix(" 0022")).unwrap_or_else(|| panic!("{extra}"));
    assert_ne!(limit, "333");
}
