//! What a program in DIB's place is likely to get wrong: each line of that list with its test.
//!
//! The tests here are those that need a whole build: of hooks and elements in this file, of the disk and of what comes out in files of
//! their own. The others stand where their subject does:
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
//! | block devices from pre-finalise on; the size in KiB | [`disk::block_devices_are_known_from_pre_finalise_on_and_the_size_changes_its_unit`], [`disk::the_size_is_in_kib_also_where_no_disk_is_attached`] |
//! | the install type is not known in root.d; HOME, PATH, TMPDIR in the image | `shell_hooks::variables_are_those_of_dib_in_each_phase` |
//! | functions for hooks outside | [`hooks_outside_the_image_have_dibs_functions`] |
//! | a hook's status is the program's | [`a_hooks_status_is_the_programs_also_after_a_signal`], `shell_hooks::a_hook_that_fails_gives_its_status_and_is_named` |
//! | image sizes | `disk::image_size`, [`disk::any_element_with_block_device_efi_in_its_name_makes_room_for_it`], [`disk::options_about_the_disk_are_seen_in_it`], `dib_strict` |
//! | units of sizes | `disk::size::tests::units_are_binary_with_an_i_and_decimal_without` |
//! | logical partitions, shares of what is left | `disk::solve::tests` |
//! | the root's magic name, labels, names of nodes | `disk::solve::tests::the_root_takes_its_type_label_and_options_from_the_request`, `disk::config::tests` |
//! | fstab | `disk::fstab::tests::lines_are_in_mount_order_and_swap_is_last_and_fixed` |
//! | labels and mount points before there is a disk | [`disk::labels_and_mount_points_are_known_before_there_is_a_disk`], `shell_library::block_device` |
//! | the order of a flattened description | `disk::config::tests::tree_and_graph_form_mean_the_same` |
//! | suffixes, archives, digests, old images | [`outputs::outputs_have_dibs_names_and_old_ones_are_renamed`], `dib_words::a_suffix_is_taken_off_for_exactly_one_type` |
//! | TMPDIR and TMP_DIR | [`outputs::a_build_works_in_the_store_whatever_tmpdir_says`], `shell_library::images` |
//! | a block device that comes unasked | `dib_words::vm_brings_a_block_device_and_everything_brings_base` |
//! | the search path | `element::catalog` |
//! | dependencies: comments, repetitions, providers | [`a_comment_among_dependencies_is_warned_of`], [`what_another_element_provides_may_be_needed_but_not_asked_for`] |
//! | package lists and names | `element::packages`, `tools::pkg_map_prints_the_most_special_name_and_says_why_it_does_not`, [`conditions_of_packages_see_environment_d`] |
//! | packages in the middle of a phase | `plan::steps` |
//! | resolv.conf | `hook::name_servers`, `shell_hooks::the_name_servers_of_the_host_are_lent_for_the_time_of_the_build`, `shell_hooks::name_servers_that_a_late_hook_makes_immutable_stay_whoever_writes_the_disk` |
//! | what is tidied after cleanup.d | [`outputs::temporary_files_and_logs_go_after_the_last_hook`] |
//! | manifests | `upstream_plumbing::manifests_and_module_settings` |
//! | no-final-image | [`outputs::no_final_image_counts_wherever_it_stands_in_a_name`] |

mod disk;
mod outputs;

use std::fs;
use std::process::Output;

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
