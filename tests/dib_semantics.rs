//! What a program in DIB's place is likely to get wrong: each line of that list with its test.
//!
//! The tests here are those that need a whole build. The others stand where their subject does:
//!
//! | what | test |
//! |---|---|
//! | hooks are sorted by number, `environment.d` by bytes | `shell_hooks::hooks_run_in_numeric_order_in_their_places_whatever_their_language`, `shell_hooks::variables_are_those_of_dib_in_each_phase` |
//! | `environment.d` is read anew by a real bash; folder, mask and limits persist | [`environment_d_is_read_anew_by_a_real_bash_in_each_phase_and_place`], `environment_d::limits_mask_folder_and_ignored_signals_reach_hooks_in_both_places_as_under_dib` |
//! | it reaches hooks only | [`environment_d_changes_neither_the_disk_nor_the_name`], `shell_hooks::extra_packages_are_installed_by_the_images_own_tool_which_sees_no_environment_d` |
//! | a dot excludes a hook, not a file of `environment.d` | the two tests of the order |
//! | folders of elements are merged, hooks are not | [`folders_of_all_elements_are_merged_and_seen_in_the_image`], `shell_hooks::a_duplicated_hook_is_refused_before_the_build_and_both_elements_are_named` |
//! | `/tmp/in_target.d` is read-only and has all phases | `shell_hooks::variables_are_those_of_dib_in_each_phase` |
//! | `TARGET_ROOT` in two phases, `TMP_MOUNT_PATH` in all | `shell_hooks::the_tree_has_its_second_name_in_two_phases_and_the_first_in_all` |
//! | block devices from pre-finalise on; the size in KiB | [`block_devices_are_known_from_pre_finalise_on_and_the_size_changes_its_unit`], [`the_size_is_in_kib_also_where_no_disk_is_attached`] |
//! | the install type is not known in root.d; HOME, PATH, TMPDIR in the image | `shell_hooks::variables_are_those_of_dib_in_each_phase` |
//! | functions for hooks outside | [`hooks_outside_the_image_have_dibs_functions`] |
//! | a hook's status is the program's | [`a_hooks_status_is_the_programs_also_after_a_signal`], `shell_hooks::a_hook_that_fails_gives_its_status_and_is_named` |
//! | image sizes | `disk::image_size`, [`any_element_with_block_device_efi_in_its_name_makes_room_for_it`], [`options_about_the_disk_are_seen_in_it`], `dib_strict` |
//! | units of sizes | `disk::size::tests::units_are_binary_with_an_i_and_decimal_without` |
//! | logical partitions, shares of what is left | `disk::solve::tests` |
//! | the root's magic name, labels, names of nodes | `disk::solve::tests::the_root_takes_its_type_label_and_options_from_the_request`, `disk::config::tests` |
//! | fstab | `disk::fstab::tests::lines_are_in_mount_order_and_swap_is_last_and_fixed` |
//! | labels and mount points before there is a disk | [`labels_and_mount_points_are_known_before_there_is_a_disk`], `shell_library::block_device` |
//! | the order of a flattened description | `disk::config::tests::tree_and_graph_form_mean_the_same` |
//! | suffixes, archives, digests, old images | [`outputs_have_dibs_names_and_old_ones_are_renamed`], `dib_words::a_suffix_is_taken_off_for_exactly_one_type` |
//! | TMPDIR and TMP_DIR | [`a_build_works_in_the_store_whatever_tmpdir_says`], `shell_library::images` |
//! | a block device that comes unasked | `dib_words::vm_brings_a_block_device_and_everything_brings_base` |
//! | the search path | `element::catalog` |
//! | dependencies: comments, repetitions, providers | [`a_comment_among_dependencies_is_warned_of`], [`what_another_element_provides_may_be_needed_but_not_asked_for`] |
//! | package lists and names | `element::packages`, `tools::pkg_map_prints_the_most_special_name_and_says_why_it_does_not`, [`conditions_of_packages_see_environment_d`] |
//! | packages in the middle of a phase | `plan::steps` |
//! | resolv.conf | `hook::name_servers`, `shell_hooks::the_name_servers_of_the_host_are_lent_for_the_time_of_the_build`, `shell_hooks::name_servers_that_a_late_hook_makes_immutable_stay_whoever_writes_the_disk` |
//! | what is tidied after cleanup.d | [`temporary_files_and_logs_go_after_the_last_hook`] |
//! | manifests | `upstream_plumbing::manifests_and_module_settings` |
//! | no-final-image | [`no_final_image_counts_wherever_it_stands_in_a_name`] |

use std::fs;
use std::process::{Command, Output};

use crate::support::{approve, stderr, stdout};
use crate::workshop::Workshop;

/// Wants a build to succeed.
fn good(output: Output) -> Output {
    assert!(output.status.success(), "{}\n{}", stdout(&output), stderr(&output));
    output
}

#[test]
fn environment_d_is_read_anew_by_a_real_bash_in_each_phase_and_place() {
    let workshop = Workshop::new();
    let first = "shopt -s extglob\nlist=(one two)\nread -r EACH </proc/sys/kernel/random/uuid\nexport EACH\n\
                 if [[ -e /tmp/in_target.d/dib-run-parts ]]; then export WHERE=image; else export WHERE=host; fi\n\
                 cd /\numask 027\n";
    // Syntax that is none without what the file before it said.
    let second = "export SECOND=${list[1]}\ncase aab in +(a)b) export GLOB=yes ;; esac\n";
    let hook = "#!/bin/bash\necho \"$EACH $WHERE $SECOND $GLOB $PWD $(umask)\" >> \"${ROOT_OF_TREE-$TMP_MOUNT_PATH}/etc/seen\"\n";
    let inside = hook.replace("${ROOT_OF_TREE-$TMP_MOUNT_PATH}", "");
    workshop.element(
        "a",
        &[
            ("environment.d/10-x.bash", first),
            ("environment.d/20-y", second),
            ("extra-data.d/10-a", hook),
            ("extra-data.d/20-b", hook),
            ("install.d/10-a", &inside),
            ("install.d/20-b", &inside),
        ],
    );
    workshop.build(&["a"]);
    let seen = workshop.read("etc/seen");
    let lines: Vec<(&str, &str)> = seen.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let [(a, host), (b, _), (c, image), (d, _)] = lines[..] else { panic!("{seen}") };
    assert!(a == b && c == d && a != c, "once a phase: {seen}");
    assert_eq!((host, image), ("host two yes / 0027", "image two yes / 0027"));
    let unset = Workshop::new();
    unset.element("a", &[("environment.d/10-x", "false | true\nexport NEVER=1\n")]);
    assert_eq!(unset.command(&["a"]).output().unwrap().status.code(), Some(1), "pipefail");
}

#[test]
fn environment_d_changes_neither_the_disk_nor_the_name() {
    let workshop = Workshop::new();
    let text =
        "export DIB_IMAGE_SIZE=9 FS_TYPE=xfs IMAGE_NAME=other ROOT_LABEL=else DIB_BLOCK_DEVICE_CONFIG=nonsense\n";
    workshop
        .element("a", &[("environment.d/10-x", text), ("install.d/50-x", "#!/bin/bash\necho $FS_TYPE > /etc/type\n")]);
    workshop.build(&["a", "-t", "raw"]);
    assert_eq!(workshop.read("etc/type"), "xfs\n");
    let raw = workshop.path().join("out.raw");
    assert!(fs::metadata(&raw).unwrap().len() < 1 << 30);
    let said = approve("blkid", &["-p", "-o", "export", raw.to_str().unwrap()]);
    assert!(said.contains("TYPE=ext4") && said.contains("LABEL=cloudimg-rootfs"), "{said}");
}

#[test]
fn folders_of_all_elements_are_merged_and_seen_in_the_image() {
    let workshop = Workshop::new();
    let look = "#!/bin/bash\ncd /tmp/in_target.d\nfor f in bin/tool static/etc/x static/etc/y test-elements/t/z \
                yum.repos.d/r.repo tests/u install.d/.hidden pre-install.d/data.conf; do\n\
                if [[ -e $f ]]; then echo \"$f $(<$f)\" >> /etc/found; fi\ndone\n\
                echo \"README $(<README.rst)\" >> /etc/found\n";
    workshop.element(
        "a",
        &[
            ("bin/tool", "a"),
            ("static/etc/x", "a"),
            ("test-elements/t/z", "a"),
            ("yum.repos.d/r.repo", "a"),
            ("tests/u", "a"),
            ("install.d/.hidden", "a"),
            ("pre-install.d/data.conf", "a"),
            ("README.rst", "a"),
            ("install.d/50-look", look),
        ],
    );
    workshop.element("b", &[("static/etc/x", "b"), ("static/etc/y", "b"), ("README.rst", "b")]);
    let output = workshop.build(&["a", "b"]);
    assert_eq!(
        workshop.read("etc/found").lines().collect::<Vec<_>>(),
        [
            "bin/tool a",
            "static/etc/x b",
            "static/etc/y b",
            "test-elements/t/z a",
            "yum.repos.d/r.repo a",
            "pre-install.d/data.conf a",
            "README b"
        ]
    );
    let said = stderr(&output);
    assert!(said.contains("element b replaces static/etc/x, which an earlier element brought too"), "{said}");
}

/// Phases whose hooks run outside the image, and those whose run in it.
const OUTSIDE: [&str; 6] = ["root", "extra-data", "post-root", "block-device", "pre-finalise", "cleanup"];
const INSIDE: [&str; 4] = ["pre-install", "install", "post-install", "finalise"];

/// An element whose hooks note in each phase what they see of the disk: `PHASE size device devices`.
fn noting(workshop: &Workshop, left_out: &[&str]) {
    let line = "PHASE ${DIB_IMAGE_SIZE-none} ${IMAGE_BLOCK_DEVICE-none} ${IMAGE_BLOCK_DEVICES-none}";
    for phase in OUTSIDE.iter().filter(|phase| !left_out.contains(phase)) {
        let hook = format!("#!/bin/bash\necho \"{}\" >> \"$TMP_MOUNT_PATH/etc/noted\"\n", line.replace("PHASE", phase));
        workshop.element("noting", &[(&format!("{phase}.d/50-note"), &hook)]);
    }
    for phase in INSIDE {
        let hook = format!("#!/bin/bash\necho \"{}\" >> /etc/noted\n", line.replace("PHASE", phase));
        workshop.element("noting", &[(&format!("{phase}.d/50-note"), &hook)]);
    }
}

#[test]
fn block_devices_are_known_from_pre_finalise_on_and_the_size_changes_its_unit() {
    let workshop = Workshop::new();
    noting(&workshop, &[]);
    workshop.build(&["noting", "--image-size", "0.25"]);
    let noted = workshop.read("etc/noted");
    let mut phases = Vec::new();
    for line in noted.lines() {
        let (phase, rest) = line.split_once(' ').unwrap();
        phases.push(phase);
        let (size, devices) = rest.split_once(' ').unwrap();
        let late = ["block-device", "pre-finalise", "finalise", "cleanup"].contains(&phase);
        assert_eq!(size, if late { "262144" } else { "0.25" }, "{line}");
        if ["pre-finalise", "finalise", "cleanup"].contains(&phase) {
            let (device, all) = devices.split_once(' ').unwrap();
            assert!(device.starts_with("/dev/loop"), "{line}");
            assert_eq!(all, format!(" [image0]={device} "), "{line}");
        } else {
            assert_eq!(devices, "none none", "{line}");
        }
    }
    let all = "root extra-data pre-install install post-install post-root block-device pre-finalise finalise cleanup";
    assert_eq!(phases.join(" "), all);
}

#[test]
fn the_size_is_in_kib_also_where_no_disk_is_attached() {
    let workshop = Workshop::new();
    noting(&workshop, &["block-device"]);
    let noted = |words: &[&str]| {
        workshop.build(&[&["noting", "--disk-writer", "direct"], words].concat());
        workshop.read("etc/noted")
    };
    for line in noted(&["--image-size", "0.25"]).lines() {
        let late = ["pre-finalise", "finalise", "cleanup"].contains(&line.split(' ').next().unwrap());
        let size = if late { " 262144 none none" } else { " 0.25 none none" };
        assert!(line.ends_with(size), "{line}");
    }
    // Without a size of the user's it is what the tree needs, in steps of 64.
    for line in noted(&["-t", "raw"]).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "pre-finalise" | "finalise" | "cleanup" => {
                let size: u64 = words[1].parse().unwrap();
                assert!(size > 64 << 10 && size.is_multiple_of(64), "{line}");
                let written = fs::metadata(workshop.path().join("out.raw")).unwrap().len();
                assert!(written.abs_diff(size << 10) <= 1 << 20, "{line}: {written}");
            }
            _ => assert_eq!(words[1], "none", "{line}"),
        }
    }
}

#[test]
fn what_a_hook_of_block_device_d_prints_is_told_to_later_hooks_and_never_run() {
    let workshop = Workshop::new();
    let print =
        "#!/bin/bash\necho \"IMAGE_BLOCK_DEVICE='/dev/of-the-hook \\$(touch $PWD/was-run)'\"\necho PATH=/nowhere\n";
    let look = "#!/bin/bash\necho \"$IMAGE_BLOCK_DEVICE $PATH\" >> \"$TMP_MOUNT_PATH/etc/seen\"\n";
    workshop.element(
        "a",
        &[("block-device.d/50-old", print), ("block-device.d/60-look", look), ("pre-finalise.d/50-look", look)],
    );
    let output = workshop.build(&["a", "-t", "raw"]);
    let seen = workshop.read("etc/seen");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 2, "{seen}");
    for line in lines {
        assert!(line.starts_with("/dev/of-the-hook $(touch ") && !line.contains("/nowhere"), "{line}");
    }
    assert!(!workshop.path().join("was-run").exists());
    assert!(workshop.path().join("out.raw").exists(), "the disk is made whatever the hook says");
    let said = stderr(&output);
    assert!(
        said.contains("block-device.d/50-old printed IMAGE_BLOCK_DEVICE=") && said.contains("deprecated"),
        "{said}"
    );
}

#[test]
fn hooks_outside_the_image_have_dibs_functions() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\nset -eu\neval declare -A all=\\( $(get_image_element_array) \\)\n\
                echo \"${all[a]} ${#all[@]}\" > \"$TMP_MOUNT_PATH/etc/array\"\ndeclare -F die > /dev/null\n\
                (die \"no  more\") > \"$TMP_MOUNT_PATH/etc/die\" || echo \"status $?\" >> \"$TMP_MOUNT_PATH/etc/die\"\n";
    workshop.element("a", &[("extra-data.d/50-x", hook)]);
    workshop.build(&["a"]);
    let folder = workshop.path().join("elements/a");
    assert_eq!(workshop.read("etc/array"), format!("{} 2\n", folder.display()));
    assert_eq!(workshop.read("etc/die"), "no  more\nstatus 1\n");
}

#[test]
fn a_hooks_status_is_the_programs_also_after_a_signal() {
    let workshop = Workshop::new();
    workshop.element("dies", &[("install.d/50-x", "#!/bin/bash\nkill -9 $$\n")]);
    workshop.element("fails", &[("cleanup.d/50-x", "#!/bin/bash\nexit 42\n")]);
    workshop.element("lacks", &[("install.d/50-x", "#!/bin/no-such-interpreter\n")]);
    for (element, status) in [("dies", 137), ("fails", 42), ("lacks", 127)] {
        let output = workshop.command(&[element]).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{element}: {}", stderr(&output));
    }
}

#[test]
fn any_element_with_block_device_efi_in_its_name_makes_room_for_it() {
    let workshop = Workshop::new();
    workshop.element("my-block-device-efi-4k", &[("README.rst", "")]);
    let words = ["plan", "--json", "-n", "--elements-path", "elements", "mini"];
    let efi = |more: &[&str]| {
        let output = good(workshop.sandbox.kiln(&[&words, more].concat()).output().unwrap());
        let plan: kiln::plan::Plan = serde_json::from_slice(&output.stdout).unwrap();
        plan.disk.parameters.efi
    };
    assert!(efi(&["my-block-device-efi-4k"]) && !efi(&[]));
}

#[test]
fn options_about_the_disk_are_seen_in_it() {
    let workshop = Workshop::new();
    let header = |words: &[&str]| {
        good(workshop.dib("disk-image-create", &[&["-t", "raw", "mini"], words].concat()));
        let raw = workshop.path().join("image.raw");
        (fs::metadata(&raw).unwrap().len(), approve("dumpe2fs", &["-h", raw.to_str().unwrap()]))
    };
    let (usual, text) = header(&[]);
    assert!(text.contains("cloudimg-rootfs"), "{text}");
    let (size, text) =
        header(&["--image-size=0.25", "--mkfs-journal-size", "8", "--root-label", "mine", "--mkfs-options=-m 7"]);
    assert_eq!(size, 1 << 28);
    assert!(text.contains("Total journal size:       8M") && text.contains("Filesystem volume name:   mine"), "{text}");
    let number = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().unwrap()
    };
    let share = number(&text, "Reserved block count:") / number(&text, "Block count:");
    assert!((0.069..0.071).contains(&share), "{share}");
    // MiB beyond what the tree takes, instead of two thirds more than that; the journal comes on top of both.
    let (extra, _) = header(&["--image-extra-size", "200", "--mkfs-journal-size", "4"]);
    let (more, _) = header(&["--image-extra-size", "300", "--mkfs-journal-size", "4"]);
    assert_eq!(more - extra, 100 << 20);
    let (journal, _) = header(&["--image-extra-size", "200", "--mkfs-journal-size", "14"]);
    assert_eq!(journal - extra, 10 << 20);
    assert!(usual < extra + (200 << 20));
    let (_, text) = header(&["--image-size=0.25", "--max-online-resize", "4194304"]);
    assert!(number(&text, "Reserved GDT blocks:") > 0.0, "{text}");
}

#[test]
fn labels_and_mount_points_are_known_before_there_is_a_disk() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\necho \"$DIB_ROOT_LABEL $DIB_ROOT_FSTYPE $DIB_BOOT_LABEL $DIB_MOUNTPOINTS\" \
                > \"$TMP_MOUNT_PATH/etc/known\"\n";
    workshop.element("a", &[("root.d/50-x", hook)]);
    let description = "[{local_loop: {name: image0}}, {partitioning: {base: image0, label: gpt, partitions: [\
        {name: sw, size: 8MiB, mkfs: {type: swap, label: swaps, mount: {mount_point: none}}}, \
        {name: boot, size: 64MiB, mkfs: {type: ext2, mount: {mount_point: /boot}}}, \
        {name: root, size: 100%, mkfs: {name: mkfs_root, mount: {mount_point: /}}}]}}]";
    let mut command = workshop.command(&["a"]);
    good(command.env("DIB_BLOCK_DEVICE_CONFIG", description).env("ROOT_LABEL", "mine").output().unwrap());
    // The label of /boot is the name of its node; mount points stand in the order of the description.
    assert_eq!(workshop.read("etc/known"), "mine ext4 mkfs_boot none|/boot|/\n");
}

#[test]
fn outputs_have_dibs_names_and_old_ones_are_renamed() {
    let workshop = Workshop::new();
    let words = ["-o", "img", "-t", "tar,tgz,squashfs,raw,qcow2", "--checksum", "mini"];
    good(workshop.dib("disk-image-create", &words));
    let names = || {
        let entries = fs::read_dir(workshop.path()).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("img"));
        names.sort();
        names
    };
    let mut expected = Vec::new();
    for suffix in ["qcow2", "raw", "squash", "tar", "tgz"] {
        expected.extend(["", ".md5", ".sha256"].map(|digest| format!("img.{suffix}{digest}")));
    }
    assert_eq!(names(), expected);
    let said = stdout(&good(workshop.dib("disk-image-create", &words)));
    // tar and squashfs are replaced; what is renamed takes its digests along.
    let dated: Vec<String> = names().into_iter().filter(|name| !expected.contains(name)).collect();
    let shape = |name: &String| name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    let mut wanted = Vec::new();
    for suffix in ["qcow0", "raw", "tgz"] {
        wanted.extend(["", ".md0", ".sha000"].map(|digest| format!("img-0000.00.00-00.00.00.{suffix}{digest}")));
    }
    assert_eq!(dated.iter().map(shape).collect::<Vec<_>>(), wanted, "{dated:?}");
    assert!(
        said.contains("Old image found. Renaming it to") && said.contains("Build completed successfully"),
        "{said}"
    );
    let mut command = workshop.dib_command("disk-image-create", &words);
    good(command.env("OVERWRITE_OLD_IMAGE", "1").output().unwrap());
    assert_eq!(names().len(), expected.len() + dated.len());
}

#[test]
fn a_build_works_in_the_store_whatever_tmpdir_says() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\necho \"$TMP_BUILD_DIR $TMPDIR $TMP_DIR\" > \"$TMP_MOUNT_PATH/etc/where\"\n";
    workshop.element("a", &[("root.d/50-x", hook)]);
    let mut command = workshop.dib_command("disk-image-create", &["-t", "tar", "-o", "out", "mini", "a"]);
    good(command.env("TMPDIR", "/var/tmp").env("TMP_DIR", "/nowhere").output().unwrap());
    let store = workshop.path().join("store");
    let seen = workshop.read("etc/where");
    assert!(seen.starts_with(store.to_str().unwrap()) && seen.ends_with(" /var/tmp /nowhere\n"), "{seen}");
}

#[test]
fn a_comment_among_dependencies_is_warned_of() {
    let workshop = Workshop::new();
    workshop.element("a", &[("element-deps", "# what it needs\nb\nb\n")]);
    workshop.element("b", &[("README.rst", "")]);
    let output = workshop.sandbox.kiln(&["plan", "-n", "--elements-path", "elements", "mini", "a"]).output().unwrap();
    let output = good(output);
    assert!(stdout(&output).lines().any(|line| line == "elements   b a mini"), "{}", stdout(&output));
    assert!(stderr(&output).contains("element-deps has a comment"), "{}", stderr(&output));
}

#[test]
fn what_another_element_provides_may_be_needed_but_not_asked_for() {
    let workshop = Workshop::new();
    workshop.element("virtual", &[("README.rst", "")]);
    workshop.element("provider", &[("element-provides", "virtual\n")]);
    workshop.element("needs", &[("element-deps", "virtual\n")]);
    let plan = |words: &[&str]| {
        let all = [&["plan", "-n", "--elements-path", "elements", "mini"], words].concat();
        workshop.sandbox.kiln(&all).output().unwrap()
    };
    let both = plan(&["provider", "virtual"]);
    assert_eq!(both.status.code(), Some(1));
    assert!(stderr(&both).contains("virtual: already provided by ['provider']"), "{}", stderr(&both));
    for words in [["provider", "needs"], ["needs", "provider"]] {
        let text = stdout(&good(plan(&words)));
        let elements = text.lines().find(|line| line.starts_with("elements")).unwrap();
        assert!(!elements.contains("virtual"), "{elements}");
    }
}

#[test]
fn conditions_of_packages_see_environment_d() {
    let workshop = Workshop::new();
    let lists = "always:\nyes: {when: CHOSEN = two}\nno: {when: CHOSEN != two}\ntyped: {installtype: package}\n";
    workshop.element(
        "a",
        &[
            ("element-deps", "package-installs\n"),
            ("package-installs.yaml", lists),
            ("environment.d/10-x", "list=(one two)\nexport CHOSEN=${list[1]} DIB_INSTALLTYPE_a=package\n"),
        ],
    );
    let plan = |words: &[&str]| {
        let all = [&["plan", "-n", "--elements-path", "elements", "mini", "a"], words].concat();
        workshop.sandbox.kiln(&all).output().unwrap()
    };
    for words in [&[][..], &["--confine"]] {
        let text = stdout(&good(plan(words)));
        assert!(text.contains("a: install always typed yes\n"), "{text}");
    }
    workshop.element("a", &[("environment.d/10-x", "exit 7\n")]);
    let output = plan(&[]);
    assert!(stderr(&output).contains("environment.d of the elements ended with status 7"), "{}", stderr(&output));
    workshop.element("a", &[("environment.d/10-x", "true\n")]);
    assert!(stderr(&plan(&[])).contains("looks at CHOSEN, which is not set"), "{}", stderr(&plan(&[])));
}

#[test]
fn temporary_files_and_logs_go_after_the_last_hook() {
    let workshop = Workshop::new();
    let leave = "#!/bin/bash\nmkdir -p /tmp/folder /root/x \"/tmp/with blank\"\necho t > \"/tmp/with blank/it's\"\n\
                 echo l > /var/log/a.log\nmkdir /var/log/sub\necho l > /var/log/sub/b\necho l > /root/x/c.log\necho k > /root/x/kept\n";
    let look = "#!/bin/bash\nset -e\ntest -s \"$TARGET_ROOT/var/log/a.log\"\ntest -e \"$TARGET_ROOT/tmp/with blank/it's\"\n\
                test -e \"$TARGET_ROOT/root/x/c.log\"\n";
    workshop.element("a", &[("install.d/50-leave", leave), ("cleanup.d/999-look", look)]);
    workshop.build(&["a"]);
    for gone in ["tmp/folder/", "tmp/with blank/", "root/x/c.log"] {
        assert!(!workshop.has(gone), "{gone}");
    }
    assert_eq!((workshop.read("var/log/a.log"), workshop.read("var/log/sub/b")), (String::new(), String::new()));
    assert_eq!(workshop.read("root/x/kept"), "k\n");
    assert!(workshop.has("tmp/"));
}

#[test]
fn no_final_image_counts_wherever_it_stands_in_a_name() {
    let workshop = Workshop::new();
    workshop.element("my-no-final-image-x", &[("README.rst", "")]);
    workshop.build(&["my-no-final-image-x", "-t", "qcow2,raw,tgz"]);
    let made = |name: &str| workshop.path().join(name).exists();
    assert!(made("out.tar") && made("out.tgz") && !made("out.qcow2") && !made("out.raw"));
}

#[test]
fn beside_a_ram_disk_its_tree_is_written_in_any_form_and_no_disk() {
    let workshop = Workshop::new();
    workshop.element("own", &[("README.rst", "")]);
    let types = "qcow2,tar,tgz,tar.zst,squashfs,erofs,oci,vhd";
    good(workshop.dib("ramdisk-image-create", &["-o", "out", "-t", types, "--ramdisk-element", "own", "mini"]));
    let made = |name: &&str| workshop.path().join(name).exists();
    for name in ["out.tar", "out.tgz", "out.tar.zst", "out.squash", "out.erofs", "out.oci.tar"] {
        assert!(made(&name), "{name}");
    }
    assert!(!["out.qcow2", "out.vhd", "out.raw"].iter().any(made));
}

#[test]
fn images_of_a_yaml_file_are_built_one_after_the_other() {
    let workshop = Workshop::new();
    workshop.element("fails", &[("install.d/50-x", "#!/bin/bash\nexit 3\n")]);
    workshop.element("tells", &[("install.d/50-x", "#!/bin/bash\necho \"$DIB_X $DIB_DEBUG_TRACE\" > /etc/told\n")]);
    let text = "- imagename: one\n  types: [tar]\n  skip-base: true\n  elements: [mini, fails]\n\
                - imagename: out\n  types: [tar]\n  skip-base: true\n  elements: [mini]\n  environment: {DIB_X: 'a  b'}\n\
                - elements: [tells]\n  debug-trace: 1\n";
    fs::write(workshop.path().join("images.yaml"), text).unwrap();
    let output = workshop.dib("diskimage-builder", &["images.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("DIB_X='a  b' disk-image-create -o out -t tar -x -n mini tells"), "{said}");
    assert!(said.contains("1 of 2 images failed: one (exit status 3)"), "{said}");
    assert_eq!(workshop.read("etc/told"), "a  b 1\n");
    assert!(!workshop.path().join("one.tar").exists());
}

#[test]
fn a_plan_tells_of_each_hook_whose_it_is_where_it_runs_and_who_reads_it() {
    let workshop = Workshop::new();
    workshop.element(
        "a",
        &[
            ("install.d/50-python", "#!/usr/bin/env python3\n"),
            ("install.d/60-plain", "echo hello\n"),
            ("finalise.d/50-boot", "#!/bin/bash\nls $IMAGE_BLOCK_DEVICE\n"),
        ],
    );
    let words = ["plan", "-n", "--elements-path", "elements", "mini", "a"];
    let text = stdout(&good(workshop.sandbox.kiln(&words).output().unwrap()));
    for line in [
        "  mini: root.d/10-mini on the host's side, read by /bin/bash\n",
        "  a: install.d/50-python in the image, read by /usr/bin/env python3\n",
        "  a: install.d/60-plain in the image, read by /bin/bash, since no line names another\n",
        "written through a loop device because of a/finalise.d/50-boot\n",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn a_docker_image_is_piped_to_the_client() {
    let workshop = Workshop::new();
    // It stands for the machine's own client: a daemon is not to be had everywhere.
    let client = "#!/bin/sh\necho \"$@\" > \"$RECORD/words\"\ncat > \"$RECORD/stdin.tar\"\necho sha256:0123\n"
        .replace("$RECORD", workshop.path().to_str().unwrap());
    let bin = workshop.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("docker"), client).unwrap();
    approve("chmod", &["755", bin.join("docker").to_str().unwrap()]);
    let mount = format!("mount --bind {} /usr/local/bin && exec \"$@\"", bin.display());
    let build = workshop.dib_command("disk-image-create", &["-t", "docker", "--docker-target", "shop/web:1", "mini"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &mount, "sh"]).arg(build.get_program()).args(build.get_args());
    command.env_clear().current_dir(workshop.path());
    command.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = good(command.output().unwrap());
    assert_eq!(fs::read_to_string(workshop.path().join("words")).unwrap(), "import - shop/web:1\n");
    let list = approve("tar", &["-tf", workshop.path().join("stdin.tar").to_str().unwrap()]);
    assert!(
        list.lines().any(|name| name == "./bin/bash") && !list.lines().any(|name| name.starts_with("./dev/n")),
        "{list}"
    );
    assert!(stdout(&output).contains("docker has the image shop/web:1: sha256:0123"), "{}", stdout(&output));
    assert!(!workshop.path().join("image.docker").exists());
}
