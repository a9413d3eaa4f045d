//! What each idiom becomes, and what keeps a hook in shell.

use std::collections::BTreeSet;

use super::hook;
use crate::plan::Phase;

const HEAD: &str = "#!/bin/bash\nset -eu\nset -o pipefail\n";

fn files() -> BTreeSet<String> {
    ["install.d/a.conf", "static/etc/x", "install.d/tree/one", "files/b.service"].map(str::to_owned).into()
}

/// The body of the draft of a hook, without indentation of the function.
#[track_caller]
fn body(phase: Phase, script: &str) -> String {
    let done = hook("x.d/10-x", phase, &format!("{HEAD}{script}\n"), &files(), &BTreeSet::new())
        .unwrap_or_else(|kept| panic!("{kept:?}"));
    let (_, body) = done.text.split_once("(image) {\n").unwrap();
    let body = body.strip_suffix("}\n").unwrap();
    body.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn becomes(script: &str, expected: &str) {
    assert_eq!(body(Phase::Install, script), expected, "{script}");
}

#[track_caller]
fn outside(script: &str, expected: &str) {
    assert_eq!(body(Phase::Root, script), expected, "{script}");
}

#[track_caller]
fn stays(script: &str, reason: &str) {
    let kept = hook("x.d/10-x", Phase::Install, &format!("{HEAD}{script}\n"), &files(), &BTreeSet::new())
        .map(|done| done.text)
        .unwrap_err();
    assert!(kept.iter().any(|kept| kept.reason.contains(reason)), "{script}: {kept:?}");
    assert!(kept.iter().all(|kept| kept.line > 3), "{kept:?}");
}

#[track_caller]
fn needs(phase: Phase, script: &str) -> Vec<String> {
    hook("x.d/10-x", phase, &format!("{HEAD}{script}\n"), &files(), &BTreeSet::new())
        .unwrap()
        .needs
        .into_iter()
        .collect()
}

#[test]
fn texts_go_into_files() {
    becomes("echo a 'b  c' > /etc/x", r#"image.write_file("/etc/x", "a b  c\n");"#);
    becomes("echo -n a >> /etc/x", r#"image.append_to_file("/etc/x", "a");"#);
    becomes("printf \"a\\tb\\n\" > /etc/x", r#"image.write_file("/etc/x", "a\tb\n");"#);
    becomes(
        "cat > /etc/x <<EOF\na $DIB_A \\$b\nc\nEOF",
        "image.write_file(\"/etc/x\", `\na ${image.env(\"DIB_A\")} $b\nc\n`);",
    );
    becomes("cat <<'EOF' | sudo tee -a /etc/x > /dev/null\n$a\nEOF", r#"image.append_to_file("/etc/x", "$a\n");"#);
    becomes("dd of=/etc/x <<_E_\na\n_E_", r#"image.write_file("/etc/x", "a\n");"#);
    becomes("> /etc/x", r#"image.write_file("/etc/x", "");"#);
    becomes("echo hello >&2", r#"image.log("hello");"#);
    becomes("echo hello > /dev/null", "");
    stays("echo * > /etc/x", "pattern of files");
    stays("printf '%s' x > /etc/x", "printf");
    stays("echo $(date) > /etc/x", "the output of a command");
    stays("cat /etc/a > /etc/b", "in a file");
    stays("ls | tee /etc/x", "a pipe from `ls`");
    // Behind a here-document, too.
    becomes(
        "cat << EOF | tee /etc/${DIB_A}/x > /dev/null\na\nEOF",
        r#"image.write_file("/etc/" + variables::word(image.env("DIB_A"), "DIB_A") + "/x", "a\n");"#,
    );
    let odd = format!("{HEAD}cat << EOF > /etc/${{DIB_A:-x}}\na\nEOF\n");
    let kept = hook("install.d/10-x", Phase::Install, &odd, &files(), &BTreeSet::new()).unwrap_err();
    assert!(kept[0].reason.contains("line 4 has an expansion behind the beginning of a here-document"), "{kept:?}");
}

#[test]
fn folders_links_owners_and_modes() {
    becomes("mkdir -p /etc/a /etc/b", "image.make_dir(\"/etc/a\");\nimage.make_dir(\"/etc/b\");");
    becomes("mkdir -m 0700 /a", "if !image.exists(\"/a\") {\n    image.make_dir(\"/a\", #{ mode: 0o700 });\n}");
    becomes("rm -rf /usr/{doc,info}", "image.remove(\"/usr/doc\");\nimage.remove(\"/usr/info\");");
    becomes("rm -f /etc/net*", "files::remove_all(image, [\"/etc/net*\"]);");
    becomes("rmdir /a", "files::remove_empty(image, \"/a\");");
    becomes("touch /etc/x", "files::write_once(image, \"/etc/x\", \"\");");
    becomes("ln -sf ../a.conf /etc/b.conf", "image.symlink(\"../a.conf\", \"/etc/b.conf\");");
    becomes("ln -s /opt/tool /usr/bin", "image.symlink(\"/opt/tool\", files::place(image, \"/usr/bin\", \"tool\"));");
    becomes(
        "ln -sf \"$DIB_X\" /usr/bin/a",
        "image.symlink(image.env(\"DIB_X\"), files::place(image, \"/usr/bin/a\", variables::basename(image.env(\"DIB_X\"))));",
    );
    becomes("chmod 0440 /a; chmod 2755 /b", "image.chmod(\"/a\", 0o440);\nimage.chmod(\"/b\", 0o2755);");
    becomes("chown root:adm /a", "image.chown(\"/a\", \"root\", \"adm\");");
    becomes("chown -R x:x /a", "image.run_in_chroot([\"chown\", \"-R\", \"x:x\", \"/a\"]);");
    becomes("mv /a /b", "image.run_in_chroot([\"mv\", \"/a\", \"/b\"]);");
    stays("rm -rf \"$DIB_X\"", "what a variable names alone");
    stays("ln /a /b", "hard link");
    stays("mkdir a", "relative");
    stays("touch /proc/x", "kernel");
}

#[test]
fn files_of_the_element_are_copied_in() {
    becomes("cp $(dirname $0)/a.conf /etc/a.conf", "image.copy_in(\"install.d/a.conf\", \"/etc/a.conf\");");
    becomes(
        "D=$(dirname $0)\ncp $D/../static/etc/x /etc/y",
        "image.copy_in(\"static/etc/x\", files::place(image, \"/etc/y\", \"x\"));",
    );
    becomes("cp -r $(dirname $0)/tree/ /opt/", "image.copy_in(\"install.d/tree\", \"/opt/tree\");");
    becomes(
        "install -D -m 0600 -o root -g adm $(dirname $0)/a.conf /etc/z.conf",
        "image.copy_in(\"install.d/a.conf\", \"/etc/z.conf\", #{ mode: 0o600, owner: \"root\", group: \"adm\" });",
    );
    becomes("install -d /etc/z", "image.make_dir(\"/etc/z\", #{ mode: 0o755 });");
    // Folders beside the phases are merged with those of other elements.
    stays("cp -r $(dirname $0)/../static /", "no file of the element's own");
    stays("cp $(dirname $0)/none /etc/a.conf", "no file of the element's own");
    stays("cp /tmp/in_target.d/a /etc/b", "a folder of the host");
}

#[test]
fn lines_are_edited_as_sed_would() {
    becomes("sed -i 's/^a=.*/a=1/' /etc/x", "image.edit_file(\"/etc/x\", \"^a=.*\", \"a=1\");");
    becomes("sed -i 's/a/b/' /etc/x", "image.edit_file(\"/etc/x\", \"^(.*?)(?:a)\", \"${1}b\");");
    becomes("sed -i 's/a/b$&/g' /etc/x", "image.edit_file(\"/etc/x\", \"a\", \"b$$${0}\");");
    becomes("sed -i '/^x/d' /etc/x", "image.edit_file(\"/etc/x\", \"^x.*$(?:\\\\n|\\\\z)\", \"\");");
    becomes(
        "sed -i \"s,^m=,m=$DIB_M,\" /etc/x",
        "image.edit_file(\"/etc/x\", \"^m=\", \"m=\" + variables::replacement(image.env(\"DIB_M\"), \",\"));",
    );
    becomes("sed -i -e '/# C/a x' /etc/x", "image.edit_file(\"/etc/x\", \"^.*\\\\# C.*$\", \"${0}\\nx\");");
    stays("sed s/a/b/ /etc/x", "prints");
    stays("sed -i s/a/b/ /etc/*", "a pattern of files");
    // What is no edit of single lines is left to the tool, inside the image.
    becomes("sed -ie s/a/b/ /etc/x", "image.run_in_chroot([\"sed\", \"-ie\", \"s/a/b/\", \"/etc/x\"]);");
    becomes("sed -i 1d /etc/x", "image.run_in_chroot([\"sed\", \"-i\", \"1d\", \"/etc/x\"]);");
    becomes("sed -i 's/x*/y/' /etc/x", "image.run_in_chroot([\"sed\", \"-i\", \"s/x*/y/\", \"/etc/x\"]);");
    becomes(
        "sed -i \"s/$DIB_A/b/\" /etc/x",
        "image.run_in_chroot([\"sed\", \"-i\", \"s/\" + image.env(\"DIB_A\") + \"/b/\", \"/etc/x\"]);",
    );
    assert_eq!(needs(Phase::Install, "sed -i 1d /etc/x"), ["run"]);
    let outside = format!("{HEAD}sed -i 1d $TARGET_ROOT/etc/x\n");
    assert!(hook("root.d/10-x", Phase::Root, &outside, &files(), &BTreeSet::new()).is_err());
}

#[test]
fn arguments_of_the_kernel_are_added_whatever_the_boot_loader_is() {
    let expected = "image.add_kernel_args([\"quiet\", \"console=ttyS0,115200\"]);";
    for script in [
        r#"sed -i 's/^GRUB_CMDLINE_LINUX="\(.*\)"/GRUB_CMDLINE_LINUX="\1 quiet console=ttyS0,115200"/' /etc/default/grub"#,
        r#"sed -i -E 's/^(GRUB_CMDLINE_LINUX=".*)"$/\1 quiet console=ttyS0,115200"/' /etc/default/grub"#,
        r#"sed -i 's/^GRUB_CMDLINE_LINUX="/&quiet console=ttyS0,115200 /' /etc/default/grub"#,
        r#"echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX quiet console=ttyS0,115200"' >> /etc/default/grub"#,
        "grubby --update-kernel=ALL --args='quiet console=ttyS0,115200'",
    ] {
        becomes(script, expected);
        assert_eq!(needs(Phase::Install, script), ["kernel-args"], "{script}");
    }
    becomes("grubby --update-kernel ALL --remove-args=rhgb", "image.remove_kernel_args([\"rhgb\"]);");
    becomes(
        "grubby --update-kernel=DEFAULT --args=a",
        "image.run_in_chroot([\"grubby\", \"--update-kernel=DEFAULT\", \"--args=a\"]);",
    );
    // Another variable, another meaning.
    assert_eq!(
        needs(Phase::Install, "sed -i 's/^GRUB_CMDLINE_LINUX_DEFAULT=\"/&quiet /' /etc/default/grub"),
        ["write:/etc/default/grub"]
    );
}

#[test]
fn the_output_of_tools_is_asked_for() {
    becomes(
        "X=$(uname -m)\necho \"$X\"",
        "let x = variables::output(image.run_in_chroot([\"uname\", \"-m\"]).stdout);\nimage.log(x);",
    );
    // Nobody looks at the status of a command inside a word.
    becomes(
        "echo \"$(uname -m)\" > /etc/x",
        "image.write_file(\"/etc/x\", variables::output(image.run_in_chroot([\"uname\", \"-m\"], #{ check: false }).stdout) + \"\\n\");",
    );
    becomes("X=$(command -v python3)\necho \"$X\"", "let x = files::program(image, \"python3\");\nimage.log(x);");
    becomes(
        "dpkg-query --show | tee -a /etc/x",
        "image.append_to_file(\"/etc/x\", variables::printed(image.run_in_chroot([\"dpkg-query\", \"--show\"]).stdout));",
    );
    becomes(
        "rpm -qa > /etc/x 2> /dev/null",
        "image.write_file(\"/etc/x\", variables::printed(image.run_in_chroot([\"rpm\", \"-qa\"]).stdout));",
    );
    becomes(
        "curl https://a.example/key | apt-key add -",
        "image.run_in_chroot([\"apt-key\", \"add\", \"-\"], #{ stdin: variables::printed(image.run_in_chroot([\"curl\", \"https://a.example/key\"]).stdout) });",
    );
    becomes("/opt/venv/bin/pip install x", "image.run_in_chroot([\"/opt/venv/bin/pip\", \"install\", \"x\"]);");
    stays("X=$(uname -m)$(uname -r)", "several commands");
    stays("echo $(command -v x)", "the output of a command");
    stays("rpm -qa > /etc/x 2>&1", "in a file");
    stays("find /etc/x > /etc/x", "in a file");
}

#[test]
fn packages_services_and_accounts() {
    becomes("install-packages vim less", "image.install_packages([\"vim\", \"less\"]);");
    becomes("install-packages -e vim", "image.remove_packages([\"vim\"]);");
    becomes("install-packages -u", "image.update_packages();");
    becomes("install-packages a $DIB_B", "image.install_packages([\"a\"] + variables::words(image.env(\"DIB_B\")));");
    becomes("systemctl enable a.service b", "image.enable_service(\"a.service\");\nimage.enable_service(\"b\");");
    becomes("systemctl mask a", "image.mask_service(\"a\");");
    becomes("systemctl disable --quiet a", "image.disable_service(\"a\");");
    becomes("groupadd -r -g 99 x", "image.add_group(\"x\", #{ system: true, gid: 99 });");
    becomes(
        "useradd -m -s /bin/sh -G a,b x",
        "image.add_user(\"x\", #{ shell: \"/bin/sh\", groups: [\"a\", \"b\"] });",
    );
    // Whether it makes a home folder is the image's own setting.
    becomes("useradd x", "image.run_in_chroot([\"useradd\", \"x\"]);");
    becomes("usermod -a -G a x", "image.run_in_chroot([\"usermod\", \"-a\", \"-G\", \"a\", \"x\"]);");
    becomes("echo \"a:b\" | chpasswd", "image.run_in_chroot([\"chpasswd\"], #{ stdin: \"a:b\\n\" });");
    becomes(
        "DEBIAN_FRONTEND=x apt-get -y update",
        "image.run_in_chroot([\"apt-get\", \"-y\", \"update\"], #{ env: #{ DEBIAN_FRONTEND: \"x\" } });",
    );
    stays("install-packages -m base x", "map");
    stays("glean-install", "the command `glean-install`");
}

#[test]
fn conditions_ask_the_image() {
    let when = |test: &str| {
        let text = body(Phase::Install, &format!("if {test}; then\n:\nfi"));
        text.lines().next().unwrap().trim_start_matches("if ").trim_end_matches(" {").to_owned()
    };
    for (test, expected) in [
        ("[ -e /a ]", "image.exists(\"/a\")"),
        ("[ ! -f /a ]", "!files::is_file(image, \"/a\")"),
        ("[ -d /a -a -h /b ]", "files::is_folder(image, \"/a\") && files::is_link(image, \"/b\")"),
        ("[ \"$DISTRO_NAME\" = debian ]", "image.distro() == \"debian\""),
        ("[ $DISTRO_NAME != debian ]", "image.distro() != \"debian\""),
        ("[ -n \"${DIB_X:-}\" ]", "image.env(\"DIB_X\") != \"\""),
        ("[ ${DIB_X:-0} -eq 1 ]", "variables::number(variables::or(image.env(\"DIB_X\"), \"0\")) == 1"),
        (
            "[[ $DISTRO_NAME =~ (centos|rhel) ]]",
            "image.distro().contains(\"centos\") || image.distro().contains(\"rhel\")",
        ),
        ("[[ $DISTRO_NAME =~ ^(a|b)$ ]]", "image.distro() == \"a\" || image.distro() == \"b\""),
        ("[[ \"amd64 x86_64\" =~ $ARCH ]]", "\"amd64 x86_64\".contains(image.arch())"),
        (
            "[[ $DIB_X == a* && $DIB_Y != *b* ]]",
            "image.env(\"DIB_X\").starts_with(\"a\") && !image.env(\"DIB_Y\").contains(\"b\")",
        ),
        ("[ -x /usr/bin/yum ]", "files::is_executable(image, \"/usr/bin/yum\")"),
        ("[ -v DIB_X ]", "image.has_env(\"DIB_X\")"),
        ("grep -q '^a b' /etc/x", "image.exists(\"/etc/x\") && !image.lines(\"/etc/x\", \"^a b\").is_empty()"),
        (
            "grep -Eq '^a(|-b) c' /etc/x",
            "image.exists(\"/etc/x\") && !image.lines(\"/etc/x\", \"^a(|\\\\-b) c\").is_empty()",
        ),
        ("rpm -q x", "image.run_in_chroot([\"rpm\", \"-q\", \"x\"], #{ check: false }).status == 0"),
    ] {
        assert_eq!(when(test), expected, "{test}");
    }
    // Without quotes the shell asks something else when the variable is empty.
    stays("if [ -n $DIB_X ]; then\n:\nfi", "without quotes");
    stays("if [ $DIB_X != a ]; then\n:\nfi", "without quotes");
    stays("if [[ $DIB_X =~ a.*b ]]; then\n:\nfi", "regular expression");
    stays("if [[ $DIB_X == a?b ]]; then\n:\nfi", "pattern");
    stays("if mountpoint -q /a; then\n:\nfi", "mountpoint");
}

#[test]
fn the_flow_of_control_is_the_shells() {
    becomes("[ -e /a ] || exit 0\necho x", "if !image.exists(\"/a\") {\n    return;\n}\nimage.log(\"x\");");
    becomes("echo no\nexit 1", "image.fail(\"no\");");
    becomes("rm -f /a || true", "try {\n    image.remove(\"/a\");\n} catch {\n    // the shell hook goes on too\n}");
    // The status of a condition that does not hold is the hook's when nothing follows.
    becomes("[ -e /a ] && rm /a\necho", "if image.exists(\"/a\") {\n    image.remove(\"/a\");\n}\nimage.log(\"\");");
    becomes(
        "[ -e /a ] && rm /a",
        "if image.exists(\"/a\") {\n    image.remove(\"/a\");\n} else {\n    image.fail(\"line 4 does not hold\");\n}",
    );
    becomes(
        "case \"$DIB_X\" in\n a|b*) exit 0 ;;\n *) exit 3 ;;\nesac",
        "if image.env(\"DIB_X\") == \"a\" || image.env(\"DIB_X\").starts_with(\"b\") {\n    return;\n} else {\n    image.fail(\"the hook ends with status 3\");\n}",
    );
    becomes("for f in a b; do\nrm -f /etc/$f\ndone", "for f in [\"a\", \"b\"] {\n    image.remove(\"/etc/\" + f);\n}");
    becomes(
        "for f in $DIB_L; do\necho $f\ndone",
        "for f in variables::words(image.env(\"DIB_L\")) {\n    image.log(variables::word(f, \"f\"));\n}",
    );
    stays("while true; do :; done", "a `while` loop");
    stays("f() { echo; }\nf", "a function");
    stays("(cd /; rm x)", "a subshell");
    stays("sleep 1 &", "background");
    stays("set +e", "`set +e`");
    becomes(
        "for f in /etc/a.d/*.conf /etc/a.d/x; do\nrm -f \"$f\"\ndone",
        "for f in files::matches(image, \"/etc/a.d/*.conf\") + [\"/etc/a.d/x\"] {\n    image.remove(f);\n}",
    );
    becomes(
        "for f in $(ls /etc/a.d/* | grep -v \"lo\"); do\nrm -f $f\ndone",
        "for f in files::listed(image, \"/etc/a.d/*\").filter(|path| !path.contains(\"lo\")) {\n    image.remove(variables::word(f, \"f\"));\n}",
    );
    assert_eq!(needs(Phase::Install, "for f in /etc/a.d/*; do rm -f $f; done"), ["write:/etc/a.d"]);
    stays("for f in *; do echo $f; done", "relative");
    stays("for f in $(ls /etc/a.d); do echo; done", "the output of a command");
}

#[test]
fn variables_keep_their_values_and_their_defaults() {
    becomes("X=/etc/a\necho b > $X/c", "let x = \"/etc/a\";\nimage.write_file(x + \"/c\", \"b\\n\");");
    becomes("X=${DIB_X:-d}\necho \"$X\"", "let x = variables::or(image.env(\"DIB_X\"), \"d\");\nimage.log(x);");
    becomes(
        "if [ -e /a ]; then\nX=1\nfi\necho \"$X\"",
        "let x = \"\";\nif image.exists(\"/a\") {\n    x = \"1\";\n}\nimage.log(x);",
    );
    becomes("X=a\nX+=b\necho $X", "let x = \"a\";\nx += \"b\";\nimage.log(variables::word(x, \"X\"));");
    becomes(
        "echo ${DIB_A//,/ }",
        "image.log(variables::word(variables::replaced(image.env(\"DIB_A\"), \",\", \" \"), \"DIB_A\"));",
    );
    becomes(
        "image=1\ndefault=2\necho $image $default",
        "let the_image = \"1\";\nlet the_default = \"2\";\nimage.log(the_image + \" \" + the_default);",
    );
    becomes(
        "if [ -e /a ]; then\nDIB_X=1\nfi\necho \"$DIB_X\"",
        "let dib_x = image.env(\"DIB_X\");\nif image.exists(\"/a\") {\n    dib_x = \"1\";\n}\nimage.log(dib_x);",
    );
    stays("echo \"$http_proxy\"", "reach a Rhai hook");
    stays("X=$(date)\necho $X", "the output of a command");
    for (form, call) in [
        ("#v", "without_start(image.env(\"DIB_A\"), \"v\")"),
        ("%.x", "without_end(image.env(\"DIB_A\"), \".x\")"),
        ("##*/", "after_last(image.env(\"DIB_A\"), \"/\")"),
        ("#*=", "after(image.env(\"DIB_A\"), \"=\")"),
        ("%%:*", "before(image.env(\"DIB_A\"), \":\")"),
        ("/:*/", "before(image.env(\"DIB_A\"), \":\")"),
        ("%.*", "before_last(image.env(\"DIB_A\"), \".\")"),
        ("/a/b", "replaced_once(image.env(\"DIB_A\"), \"a\", \"b\")"),
    ] {
        becomes(&format!("echo \"${{DIB_A{form}}}\""), &format!("image.log(variables::{call});"));
    }
    stays("echo ${DIB_A#x?}", "a prefix or suffix");
    stays("echo $TMP_HOOKS_PATH", "hand files to each other");
    stays("A=(1 2)", "an array");
    stays("export -f x", "export");
}

#[test]
fn hooks_outside_the_image_touch_nothing_but_its_folder() {
    outside("sudo mkdir -p $TARGET_ROOT/etc/a", "image.make_dir(\"/etc/a\");");
    outside(
        "[ -n \"$TARGET_ROOT\" ]\necho a | sudo tee ${TMP_MOUNT_PATH}/b > /dev/null",
        "// the image's folder is always there\nimage.write_file(\"/b\", \"a\\n\");",
    );
    outside("D=$TARGET_ROOT/etc/x\nrm -f $D/y.conf", "let d = \"/etc/x\";\nimage.remove(d + \"/y.conf\");");
    outside("sudo chroot $TARGET_ROOT locale-gen", "image.run_in_chroot([\"locale-gen\"]);");
    for script in [
        "mkdir /etc/a",
        "mkdir a/$TARGET_ROOT",
        "locale-gen",
        "cp /etc/a $TARGET_ROOT/b",
        "echo $TARGET_ROOT > $TARGET_ROOT/a",
        "systemctl enable a",
        "mkdir ~/x",
    ] {
        let text = format!("{HEAD}{script}\n");
        assert!(hook("root.d/10-x", Phase::Root, &text, &files(), &BTreeSet::new()).is_err(), "{script}");
    }
    // It is set in two phases only.
    assert!(hook("x", Phase::ExtraData, &format!("{HEAD}rm -f $TARGET_ROOT/a"), &files(), &BTreeSet::new()).is_err());
}

#[test]
fn permissions_are_those_of_the_verbs() {
    assert_eq!(
        needs(Phase::Install, "echo > /etc/a/b\nrm -f /srv/x*\nmkdir /opt/$DIB_A"),
        ["write:/etc/a/b", "write:/opt", "write:/srv"]
    );
    assert_eq!(needs(Phase::Install, "apt-get update\nsystemctl enable a"), ["network", "run", "services"]);
    assert_eq!(needs(Phase::Install, "apt-get clean"), ["run"]);
    assert_eq!(needs(Phase::Install, "install-packages a\nuseradd -m b"), ["packages", "users"]);
}

#[test]
fn comments_stand_where_they_stood() {
    let text = "#!/bin/bash\n# Licence\n\n# Why all this.\nset -eu\n\n# First.\nrm -f /a # really\nif [ -e /b ]; then\n    # Inside.\n    rm -f /b\nfi\n# Last.\n";
    let done = hook("install.d/10-x", Phase::Install, text, &files(), &BTreeSet::new()).unwrap();
    insta::assert_snapshot!(done.text, @r#"
    //! A draft of the shell hook `install.d/10-x`: read it, test it, then make it yours.

    // Licence

    fn install(image) {
        // Why all this.
        // First.
        // really
        image.remove("/a");
        if image.exists("/b") {
            // Inside.
            image.remove("/b");
        }
        // Last.
    }
    "#);
}

#[test]
fn a_script_that_goes_on_after_errors_stays() {
    for text in ["#!/bin/bash\nrm -f /a\n", "#!/usr/bin/python3\nprint(1)\n", "rm -f /a\n"] {
        assert!(hook("install.d/x", Phase::Install, text, &files(), &BTreeSet::new()).is_err(), "{text}");
    }
    for text in [
        "#!/bin/bash -e\nrm -f /a\n",
        "#!/usr/bin/env bash\nset -euo pipefail\nrm -f /a\n",
        "#!/bin/sh\nset -o errexit\nrm -f /a\n",
    ] {
        hook("install.d/x", Phase::Install, text, &files(), &BTreeSet::new()).unwrap();
    }
}
