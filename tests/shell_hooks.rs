//! Shell hooks as elements of DIB have them, on a small root tree that a hook makes of the host's own tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::stderr;
use crate::workshop::Workshop;

#[test]
fn hooks_run_in_numeric_order_in_their_places_whatever_their_language() {
    let workshop = Workshop::new();
    let log = "#!/bin/bash\necho \"${0##*/}\" >> /etc/order\n";
    workshop.element(
        "a",
        &[
            ("install.d/100-last", log),
            ("install.d/9-first", log),
            ("install.d/-3-before", log),
            ("install.d/not-numbered", log),
            ("install.d/50-data.conf", ""),
            (
                "install.d/20-script.rhai",
                "fn install(image) { image.append_to_file(\"/etc/order\", \"20-script\\n\"); }",
            ),
            ("element.rhai", "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/etc\"] };"),
            (
                "extra-data.d/10-host",
                "#!/bin/bash\necho host > \"$TMP_MOUNT_PATH/etc/host\"\npwd > \"$TMP_MOUNT_PATH/etc/cwd\"\n",
            ),
        ],
    );
    workshop.element("b", &[("install.d/15-b", log), ("install.d/010-d", log), ("install.d/10-b", log)]);
    // Only its dot keeps it from being run.
    let data = workshop.path().join("elements/a/install.d/50-data.conf");
    fs::write(&data, "#!/bin/bash\nexit 1\n").unwrap();
    fs::set_permissions(data, fs::Permissions::from_mode(0o755)).unwrap();
    workshop.build(&["a", "b"]);
    let order = workshop.read("etc/order");
    assert_eq!(
        order.lines().collect::<Vec<_>>(),
        ["-3-before", "not-numbered", "9-first", "010-d", "10-b", "15-b", "20-script", "100-last"]
    );
    assert_eq!(workshop.read("etc/host"), "host\n");
    assert_eq!(workshop.read("etc/cwd").trim(), workshop.path().canonicalize().unwrap().to_str().unwrap());
}

#[test]
fn variables_are_those_of_dib_in_each_phase() {
    let workshop = Workshop::new();
    let dump = |to: &str| format!("#!/bin/bash\nenv -0 | sort -z | tr '\\0' '\\n' > \"$TMP_MOUNT_PATH/etc/{to}\"\n");
    let inside = "#!/bin/bash\nenv > /etc/inside\ntouch /tmp/in_target.d/x 2>/dev/null && touch /etc/writable\n\
                  ls /tmp/in_target.d > /etc/seen\n(false || die hello) || echo \"die $?\" > /etc/die\n";
    workshop.element(
        "a",
        &[
            ("root.d/50-dump", &dump("root")),
            ("extra-data.d/50-dump", &dump("extra-data")),
            ("install.d/50-dump", inside),
            ("post-root.d/50-x", "#!/bin/bash\ntrue\n"),
            ("cleanup.d/50-dump", &dump("cleanup")),
            ("environment.d/100-a", "export ORDER=100\n"),
            ("environment.d/20-b.bash", "export ORDER=$ORDER,20\n"),
            ("environment.d/3-c", "export ORDER=$ORDER,3; umask 027\n"),
        ],
    );
    let mut command = workshop.command(&["a"]);
    command
        .env("DIB_SOMETHING", "some thing")
        .env("LEAKS", "yes")
        .env("TMPDIR", "/var/tmp")
        .env("VIRTUAL_ENV", "/venv");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let has = |file: &str, line: &str| workshop.read(&format!("etc/{file}")).lines().any(|found| found == line);
    let names = |file: &str, name: &str| {
        workshop.read(&format!("etc/{file}")).lines().any(|found| found.starts_with(&format!("{name}=")))
    };
    for file in ["root", "extra-data", "inside", "cleanup"] {
        for line in [
            "LC_ALL=C",
            "ORDER=100,20,3",
            "DIB_SOMETHING=some thing",
            "LEAKS=yes",
            "IMAGE_NAME=out",
            "DIB_ROOT_LABEL=cloudimg-rootfs",
        ] {
            assert!(has(file, line), "{file}: {line}\n{}", workshop.read(&format!("etc/{file}")));
        }
        for name in [
            "TMP_BUILD_DIR",
            "TMP_HOOKS_PATH",
            "TMP_MOUNT_PATH",
            "_LIB",
            "IMAGE_ELEMENT",
            "IMAGE_ELEMENT_YAML",
            "DIB_ARGS",
            "ARCH",
        ] {
            assert!(names(file, name), "{file}: {name}");
        }
    }
    assert!(names("root", "TARGET_ROOT") && names("cleanup", "TARGET_ROOT") && !names("extra-data", "TARGET_ROOT"));
    assert!(!names("root", "DIB_DEFAULT_INSTALLTYPE") && has("extra-data", "DIB_DEFAULT_INSTALLTYPE=source"));
    assert!(has("inside", "HOME=/root") && !names("inside", "TMPDIR") && !names("inside", "VIRTUAL_ENV"));
    assert!(has("root", "TMPDIR=/var/tmp"));
    assert!(!names("inside", "IMAGE_BLOCK_DEVICE"));
    assert!(!workshop.has("etc/writable"), "the hooks folder can be written in the image");
    let seen = workshop.read("etc/seen");
    for name in ["root.d", "cleanup.d", "environment.d", "dib-run-parts"] {
        assert!(seen.lines().any(|line| line == name), "{name}\n{seen}");
    }
    assert_eq!(workshop.read("etc/die"), "die 1\n");
    assert!(!workshop.has("tmp/in_target.d"));
}

#[test]
fn the_tree_has_its_second_name_in_two_phases_and_the_first_in_all() {
    let workshop = Workshop::new();
    let note = "echo \"PHASE ${TARGET_ROOT+${TARGET_ROOT/\"$TMP_MOUNT_PATH\"/same}} ${TMP_MOUNT_PATH##*/}\"";
    let outside = ["root", "extra-data", "post-root", "block-device", "pre-finalise", "cleanup"];
    let inside = ["pre-install", "install", "post-install", "finalise"];
    for (phases, file) in [(&outside[..], "$TMP_MOUNT_PATH/etc/noted"), (&inside, "/etc/noted")] {
        for phase in phases {
            let hook = format!("#!/bin/bash\n{} >> \"{file}\"\n", note.replace("PHASE", phase));
            workshop.element("a", &[(&format!("{phase}.d/50-note"), &hook)]);
        }
    }
    workshop.build(&["a"]);
    let noted = workshop.read("etc/noted");
    assert_eq!(noted.lines().count(), 10, "{noted}");
    for line in noted.lines() {
        let (phase, rest) = line.split_once(' ').unwrap();
        let named = ["root", "cleanup"].contains(&phase);
        assert_eq!(rest, if named { "same mnt" } else { " mnt" }, "{line}");
    }
}

#[test]
fn a_hook_that_fails_gives_its_status_and_is_named() {
    let workshop = Workshop::new();
    workshop.element("a", &[("install.d/50-fails", "#!/bin/bash\necho the reason >&2\nexit 3\n")]);
    let output = workshop.command(&["a"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = stderr(&output);
    for text in ["install.d/50-fails", "status 3", "the reason", "element  a", "phase    install"] {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
    assert!(!workshop.path().join("out.tar").exists());
}

#[test]
fn a_file_of_environment_d_that_fails_ends_the_build_with_its_status() {
    let workshop = Workshop::new();
    workshop.element("a", &[("environment.d/10-x", "exit 9\n")]);
    let output = workshop.command(&["a"]).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
}

#[test]
fn a_hook_of_the_host_side_can_bring_hooks_and_mounts_that_last() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path().join("cache")).unwrap();
    fs::write(workshop.path().join("cache/kept"), "of the host").unwrap();
    let mount = "#!/bin/bash\nset -e\nmkdir -p \"$TARGET_ROOT/var/cache/x\"\n\
                 mount --bind \"$PWD/cache\" \"$TARGET_ROOT/var/cache/x\"\n";
    let bring = "#!/bin/bash\nset -e\nmkdir -p \"$TMP_HOOKS_PATH/install.d\"\n\
                 printf '#!/bin/bash\\necho brought > /etc/brought\\n' > \"$TMP_HOOKS_PATH/install.d/30-brought\"\n\
                 chmod +x \"$TMP_HOOKS_PATH/install.d/30-brought\"\nrm \"$TMP_HOOKS_PATH/install.d/40-gone\"\n";
    let use_cache = "#!/bin/bash\nset -e\ncat /var/cache/x/kept > /etc/kept\necho new > /var/cache/x/new\n";
    workshop.element(
        "a",
        &[
            ("root.d/50-mount", mount),
            ("extra-data.d/50-bring", bring),
            ("install.d/40-gone", "#!/bin/bash\nexit 1\n"),
            ("install.d/50-cache", use_cache),
        ],
    );
    workshop.build(&["a"]);
    let check = || {
        assert_eq!(workshop.read("etc/brought"), "brought\n");
        assert_eq!(workshop.read("etc/kept"), "of the host");
        assert_eq!(fs::read_to_string(workshop.path().join("cache/new")).unwrap(), "new\n");
        assert!(
            workshop.has("var/cache/x/") && !workshop.has("var/cache/x/kept"),
            "the mount's content is in the image"
        );
    };
    check();
    // Now the mount comes from what was noted beside the layer.
    fs::write(workshop.path().join("elements/a/install.d/60-more"), "#!/bin/bash\ncat /var/cache/x/kept > /etc/more\n")
        .unwrap();
    fs::set_permissions(workshop.path().join("elements/a/install.d/60-more"), fs::Permissions::from_mode(0o755))
        .unwrap();
    workshop.build(&["a"]);
    check();
    assert_eq!(workshop.read("etc/more"), "of the host");
}

#[test]
fn a_hook_that_mounts_the_hosts_folders_and_dies_harms_nobody() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path().join("precious")).unwrap();
    fs::write(workshop.path().join("precious/data"), "precious").unwrap();
    let hostile = "#!/bin/bash\nset -e\nfor at in var/log tmp root/x; do mkdir -p \"$TMP_MOUNT_PATH/$at\"; \
                   mount --bind \"$PWD/precious\" \"$TMP_MOUNT_PATH/$at\"; done\n";
    for (phase, tail) in [
        ("root.d", "kill -9 $$\n"),
        ("extra-data.d", "kill -9 $PPID $$\n"),
        ("cleanup.d", "true\n"),
        ("post-root.d", "exit 5\n"),
    ] {
        let name = format!("bad-{phase}").replace('.', "-");
        workshop.element(&name, &[(&format!("{phase}/50-x"), &format!("{hostile}{tail}"))]);
        let _ = workshop.command(&[&name]).output().unwrap();
        assert_eq!(fs::read_to_string(workshop.path().join("precious/data")).unwrap(), "precious", "{phase}");
        assert_eq!(fs::read_dir(workshop.path().join("precious")).unwrap().count(), 1, "{phase}");
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(workshop.path().to_str().unwrap()), "{mounts}");
}

#[test]
fn kilns_own_elements_are_on_the_path_of_hooks_only_where_one_of_them_is_used() {
    let dump = "#!/bin/bash\necho \"$ELEMENTS_PATH\" > \"$TMP_MOUNT_PATH/etc/path\"\n";
    for (words, folders) in [(&["a"][..], 1), (&["a", "sysprep"], 2)] {
        let workshop = Workshop::new();
        workshop.element("a", &[("extra-data.d/50-dump", dump)]);
        workshop.build(words);
        let path = workshop.read("etc/path");
        assert_eq!(path.trim().split(':').count(), folders, "{path}");
    }
}

#[test]
fn the_build_folder_has_the_only_dot_of_the_trees_path_behind_which_elements_look_for_a_name() {
    let workshop = Workshop::new();
    let dump = "#!/bin/bash\ndirname \"${TMP_MOUNT_PATH##*.}\" > \"$TMP_MOUNT_PATH/etc/name\"\n";
    workshop.element("a", &[("extra-data.d/50-dump", dump)]);
    workshop.build(&["a"]);
    assert_eq!(workshop.read("etc/name"), "kiln\n");
}

#[test]
fn what_did_not_change_is_reused_and_what_comes_from_the_host_is_looked_at_again() {
    let workshop = Workshop::new();
    workshop.element(
        "a",
        &[
            ("extra-data.d/10-bring", "#!/bin/bash\ncp \"$PWD/source\" \"$TMP_MOUNT_PATH/etc/source\"\n"),
            ("install.d/50-use", "#!/bin/bash\nread -r text < /etc/source\necho \"used $text\" > /etc/used\n"),
            ("cleanup.d/50-out", "#!/bin/bash\necho again >> \"$PWD/side\"\n"),
        ],
    );
    fs::write(workshop.path().join("source"), "one\n").unwrap();
    workshop.build(&["a"]);
    let second = stderr(&workshop.build(&["a"]));
    assert!(second.contains("install.d/50-use in the image: from the store"), "{second}");
    assert!(second.contains("root.d/10-mini on the host's side: from the store"), "{second}");
    assert!(!second.contains("10-bring on the host's side: from the store"), "{second}");
    fs::write(workshop.path().join("source"), "two\n").unwrap();
    let third = stderr(&workshop.build(&["a"]));
    assert_eq!(workshop.read("etc/used"), "used two\n");
    assert!(third.contains("root.d/10-mini on the host's side: from the store"), "{third}");
    assert_eq!(fs::read_to_string(workshop.path().join("side")).unwrap(), "again\nagain\nagain\n");
}

#[test]
fn what_a_hook_of_root_d_writes_beside_the_tree_is_written_again_by_a_refresh_only() {
    let workshop = Workshop::new();
    workshop.element(
        "a",
        &[("root.d/50-side", "#!/bin/bash\necho again | tee -a \"$PWD/side\" > \"$TARGET_ROOT/etc/in\"\n")],
    );
    for (words, lines) in [(&["a"][..], 1), (&["a"], 1), (&["a", "--refresh"], 2)] {
        workshop.build(words);
        let side = fs::read_to_string(workshop.path().join("side")).unwrap();
        assert_eq!((side.lines().count(), workshop.read("etc/in").as_str()), (lines, "again\n"), "{words:?}");
    }
}

#[test]
fn the_name_servers_of_the_host_are_lent_for_the_time_of_the_build() {
    let workshop = Workshop::new();
    workshop.element(
        "a",
        &[
            ("root.d/50-own", "#!/bin/bash\necho 'nameserver 192.0.2.7' > \"$TARGET_ROOT/etc/resolv.conf\"\n"),
            (
                "install.d/50-look",
                "#!/bin/bash\nset -e\ncat /etc/resolv.conf > /etc/during\ncat /etc/resolv.conf.ORIG > /etc/waiting\n",
            ),
        ],
    );
    workshop.build(&["a"]);
    assert_eq!(workshop.read("etc/resolv.conf"), "nameserver 192.0.2.7\n");
    assert_eq!(workshop.read("etc/waiting"), "nameserver 192.0.2.7\n");
    assert_eq!(workshop.read("etc/during"), fs::read_to_string("/etc/resolv.conf").unwrap());
    assert!(!workshop.has("etc/resolv.conf.ORIG"));
}

#[test]
fn name_servers_that_a_late_hook_makes_immutable_stay_whoever_writes_the_disk() {
    for phase in ["pre-finalise", "cleanup"] {
        let workshop = Workshop::new();
        let fix = "#!/bin/bash\nset -e\nfile=$TMP_MOUNT_PATH/etc/resolv.conf\nstat -c %a \"$file\" > \"$TMP_MOUNT_PATH/etc/mode\"\n\
                   echo fixed > \"$file\"\nchattr +i \"$file\"\n";
        workshop.element(
            "a",
            &[
                ("root.d/50-own", "#!/bin/bash\necho own > \"$TARGET_ROOT/etc/resolv.conf\"\n"),
                (&format!("{phase}.d/50-fix"), fix),
            ],
        );
        for writer in ["direct", "loop"] {
            workshop.build(&["a", "--disk-writer", writer]);
            assert_eq!(workshop.read("etc/resolv.conf"), "fixed\n", "{phase}, {writer}");
            assert!(!workshop.has("etc/resolv.conf.ORIG"));
            assert_eq!(workshop.read("etc/mode"), "644\n");
        }
    }
}

#[test]
fn a_root_phase_that_makes_nothing_is_refused() {
    let workshop = Workshop::new();
    workshop.element(
        "empty",
        &[
            ("root.d/10-x", "#!/bin/bash\nmkdir -p \"$TARGET_ROOT/tmp/x\"\n"),
            ("element-provides", "operating-system\n"),
        ],
    );
    let words = ["build", "-n", "-t", "tar", "-o", "out", "--elements-path", "elements", "empty"];
    let output = workshop.sandbox.kiln(&words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Failed to deploy the root element"), "{}", stderr(&output));
}

#[test]
fn a_duplicated_hook_is_refused_before_the_build_and_both_elements_are_named() {
    let workshop = Workshop::new();
    for name in ["a", "b"] {
        workshop.element(name, &[("install.d/50-x", "#!/bin/bash\n")]);
    }
    let output = workshop.command(&["a", "b"]).output().unwrap();
    let said = stderr(&output);
    assert!(
        said.contains("There is a duplicated hook in your elements: install.d/50-x") && said.contains("a and b"),
        "{said}"
    );
}

#[test]
fn breakpoints_run_the_users_command_where_dib_does() {
    let workshop = Workshop::new();
    workshop
        .element("a", &[("install.d/50-fails", "#!/bin/bash\nexit 4\n"), ("extra-data.d/50-x", "#!/bin/bash\ntrue\n")]);
    let command =
        "echo \"${TARGET_ROOT:-none} $(test -e /tmp/in_target.d && echo image || echo host)\" >> \"$PWD/stops\"";
    let run = |outside: &str| {
        let mut build = workshop.command(&["a"]);
        build.env("break", "before-root,before-extra-data,after-error").env("break_cmd", command);
        build.env("break_outside_target", outside).output().unwrap()
    };
    let output = run("1");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("At stage after-error"), "{}", stderr(&output));
    let stops = fs::read_to_string(workshop.path().join("stops")).unwrap();
    let places: Vec<&str> = stops.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(places, ["host", "host", "host"], "{stops}");
}

#[test]
fn the_transcript_is_that_of_dib_run_parts() {
    let workshop = Workshop::new();
    workshop.element("a", &[("install.d/50-x", "#!/bin/bash\necho printed\n"), ("environment.d/10-e", "export E=1\n")]);
    let said = stderr(&workshop.build(&["a"]));
    for line in [
        "dib-run-parts Sourcing environment file /tmp/in_target.d/install.d/../environment.d/10-e",
        "dib-run-parts Running /tmp/in_target.d/install.d/50-x",
        "| printed",
        "dib-run-parts 50-x completed",
        "dib-run-parts Target: install.d",
        "dib-run-parts --------------------- END PROFILING ---------------------",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn a_script_without_an_interpreter_line_is_read_by_bash_and_what_it_starts_ends_with_it() {
    let workshop = Workshop::new();
    workshop.element("a", &[("install.d/50-x", "[[ a == a ]] && echo bash > /etc/read\nsleep 987 &\n")]);
    let begun = std::time::Instant::now();
    workshop.build(&["a"]);
    assert!(begun.elapsed().as_secs() < 60);
    assert_eq!(workshop.read("etc/read"), "bash\n");
}

#[test]
fn extra_packages_are_installed_by_the_images_own_tool_which_sees_no_environment_d() {
    let workshop = Workshop::new();
    let tool = "#!/bin/bash\nprintf '#!/bin/bash\\necho \"$* ${FROM_D:-none}\" > /etc/asked\\n' \
                > \"$TMP_MOUNT_PATH/bin/install-packages\"\nchmod +x \"$TMP_MOUNT_PATH/bin/install-packages\"\n";
    workshop.element("a", &[("extra-data.d/50-tool", tool), ("environment.d/10-x", "export FROM_D=yes\n")]);
    workshop.build(&["-p", "one,two", "-p", "three", "a"]);
    assert_eq!(workshop.read("etc/asked"), "one two three none\n");
    let without = Workshop::new();
    let output = without.command(&["-p", "one"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127), "{}", stderr(&output));
    assert!(stderr(&output).contains("no element brought `install-packages`"), "{}", stderr(&output));
}
