//! What of diskimage-builder is mended, or kept on purpose: each defect that elements or callers can notice, with its test.
//!
//! The tests here are those that stand nowhere else.
//!
//! | what | test |
//! |---|---|
//! | `-c`, `--image-extra-size`, `--mkfs-journal-size` | `dib_words::clearing_the_environment_takes_the_search_path_away_and_says_so`, `dib_semantics::options_about_the_disk_are_seen_in_it` |
//! | types that other types change or remove | `dib_semantics::outputs_have_dibs_names_and_old_ones_are_renamed`, [`qcow2_is_compressed_whatever_is_made_beside_it`] |
//! | devices of the host in archives | `dib_semantics::a_docker_image_is_piped_to_the_client` |
//! | what was found after the build | `dib_words::mistakes_are_found_before_the_slow_part`, `dib_words::a_suffix_is_taken_off_for_exactly_one_type` |
//! | `MKFS_OPTS` does not count | [`options_of_mkfs_in_the_environment_do_not_count_and_are_warned_of`] |
//! | hidden files at the top, missing folders | [`hidden_files_at_the_top_stay_and_a_tree_may_lack_logs_and_a_home`] |
//! | `PATH`, `die` in the image | `hook::environment::tests::the_core_tells_each_place_what_it_needs`, `shell_hooks::variables_are_those_of_dib_in_each_phase` |
//! | files of two elements | `hook::collect`, `shell_hooks::a_duplicated_hook_is_refused_before_the_build_and_both_elements_are_named`, `dib_strict::the_old_name_of_modprobe_goes_with_the_new_one_and_is_refused_strictly` |
//! | random order, virtual names, repetitions | `element::resolve::tests`, [`hidden_files_at_the_top_stay_and_a_tree_may_lack_logs_and_a_home`] |
//! | links, overridden lists, EFI's room, CHS addresses | `dib_strict` |
//! | package lists, `pkg-map`, `svc-map` | `element::packages::tests`, `element::wish`, `element::pkg_map::tests`, `plumbing::svc_map` |
//! | source repositories | `plumbing::source_repositories::tests` |
//! | a journal that fills the disk | `disk::solve::tests::a_journal_does_not_fill_a_small_file_system` |
//! | name servers | `shell_hooks::name_servers_that_a_late_hook_makes_immutable_stay_whoever_writes_the_disk` |
//! | `block-device.d` is not evaluated | `dib_semantics::what_a_hook_of_block_device_d_prints_is_told_to_later_hooks_and_never_run` |
//! | `DIB_BLOCK_DEVICE` of the user's | [`the_users_block_device_reaches_hooks`] |
//! | two descriptions of the disk | [`two_elements_that_describe_the_disk_are_refused`] |
//! | partition tables that cannot be | `disk::solve::tests::what_a_table_cannot_hold_is_refused` |
//! | mounts that stay, data that goes | `shell_hooks::a_hook_that_mounts_the_hosts_folders_and_dies_harms_nobody`, `interruption` |
//! | RAM disks | `ramdisk`, `shell_library::ramdisk` |
//! | secrets in manifests | `plumbing::manifests::tests` |
//! | lines of a trace | `ui::transcript`, `shell_library::python` |

use std::fs;

use crate::support::{approve, stderr, stdout};
use crate::workshop::Workshop;

#[test]
fn qcow2_is_compressed_whatever_is_made_beside_it() {
    let workshop = Workshop::new();
    let compressed = |words: &[&str]| {
        let output =
            workshop.dib("disk-image-create", &[&["-o", "out", "-t", "tgz,raw,vmdk,qcow2", "mini"], words].concat());
        assert!(output.status.success(), "{}", stdout(&output));
        !approve("qemu-img", &["check", workshop.path().join("out.qcow2").to_str().unwrap()])
            .contains(" 0.00% compressed")
    };
    assert!(compressed(&[]) && !compressed(&["-u"]));
}

#[test]
fn options_of_mkfs_in_the_environment_do_not_count_and_are_warned_of() {
    let workshop = Workshop::new();
    let mut command = workshop.dib_command("disk-image-create", &["-t", "raw", "mini"]);
    let output = command.env("MKFS_OPTS", "-L never").output().unwrap();
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).contains("MKFS_OPTS does not count"), "{}", stdout(&output));
    let header = approve("dumpe2fs", &["-h", workshop.path().join("image.raw").to_str().unwrap()]);
    assert!(header.contains("cloudimg-rootfs"), "{header}");
}

#[test]
fn hidden_files_at_the_top_stay_and_a_tree_may_lack_logs_and_a_home() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\nset -e\ncd \"$TARGET_ROOT\"\necho here > .hidden\nrmdir var/log root\n";
    workshop.element("a", &[("root.d/50-x", hook)]);
    // The operating system is named twice, too.
    workshop.build(&["a", "mini", "a", "-t", "raw"]);
    let raw = workshop.path().join("out.raw");
    let said = approve("debugfs", &["-R", "cat /.hidden", raw.to_str().unwrap()]);
    assert!(said.lines().any(|line| line == "here"), "{said}");
    let listed = approve("debugfs", &["-R", "ls -p /", raw.to_str().unwrap()]);
    assert!(listed.contains("/var/") && !listed.contains("/root/"), "{listed}");
}

#[test]
fn the_users_block_device_reaches_hooks() {
    let workshop = Workshop::new();
    let hook = "#!/bin/bash\necho \"$DIB_BLOCK_DEVICE\" > \"$TMP_MOUNT_PATH/etc/device\"\n";
    workshop.element("a", &[("extra-data.d/50-x", hook)]);
    let output = workshop.command(&["a"]).env("DIB_BLOCK_DEVICE", "gpt").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(workshop.read("etc/device"), "gpt\n");
}

#[test]
fn two_elements_that_describe_the_disk_are_refused() {
    let workshop = Workshop::new();
    for name in ["one", "other"] {
        let description =
            "- local_loop: {name: image0}\n- mkfs: {base: image0, name: mkfs_root, mount: {mount_point: /}}\n";
        workshop.element(name, &[("block-device-default.yaml", description)]);
    }
    let output = workshop.command(&["one", "other"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("both one and other describe the disk"), "{}", stderr(&output));
    assert!(!fs::exists(workshop.path().join("out.tar")).unwrap());
    workshop.build(&["one"]);
}
