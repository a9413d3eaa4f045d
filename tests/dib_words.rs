//! DIB's commands: their words, variables and output, as far as no build is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Sandbox, stderr, stdout};

const DISK: &str = env!("CARGO_BIN_EXE_disk-image-create");
const RAMDISK: &str = env!("CARGO_BIN_EXE_ramdisk-image-create");
const BUILDER: &str = env!("CARGO_BIN_EXE_diskimage-builder");
const INFO: &str = env!("CARGO_BIN_EXE_element-info");

/// A program with a home and a store of its own, and nothing else in its environment.
fn command(sandbox: &Sandbox, program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_clear().current_dir(sandbox.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", sandbox.path().join("home")).env("KILN_STORE", sandbox.path().join("store"));
    command
}

fn run(sandbox: &Sandbox, program: &str, words: &[&str]) -> Output {
    command(sandbox, program, words).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// An operating system that is nothing, and what the tests name beside it.
fn elements(sandbox: &Sandbox) -> PathBuf {
    sandbox.element("fake-os", &[("element-provides", "operating-system\n")]);
    sandbox.element("web", &[("element-deps", "helper\n")]);
    sandbox.element("helper", &[("README.rst", "h\n")]);
    sandbox.element("ramdisk", &[("element-deps", "helper\n")]);
    sandbox.element("dracut-ramdisk", &[("README.rst", "d\n")])
}

/// The line that begins with `start` in what `disk-image-create` or its sister says about `words`, without that.
fn line(sandbox: &Sandbox, program: &str, words: &[&str], start: &str) -> String {
    let mut command = command(sandbox, program, words);
    let output = command.env("ELEMENTS_PATH", elements(sandbox)).env("DIB_NO_TIMESTAMP", "1").output().unwrap();
    let text = stdout(&output);
    let found = text.lines().find_map(|line| line.strip_prefix(start));
    found.unwrap_or_else(|| panic!("{words:?} says nothing of `{start}`:\n{text}{}", stderr(&output))).to_owned()
}

#[test]
fn every_command_has_a_help_and_the_two_that_build_a_bare_version() {
    let sandbox = Sandbox::new();
    for program in [DISK, RAMDISK] {
        for word in ["--help", "-h", "--hel"] {
            let output = run(&sandbox, program, &[word]);
            assert_eq!(status(&output), 0);
            for option in ["--image-extra-size", "--mkfs-journal-size", "--logfile", "--dib-strict", "-p PACKAGE"] {
                assert!(stdout(&output).contains(option), "{option}");
            }
        }
        let output = run(&sandbox, program, &["vm", "--version"]);
        assert_eq!((status(&output), stdout(&output)), (0, format!("{}\n", env!("CARGO_PKG_VERSION"))));
    }
    for program in [BUILDER, INFO] {
        let output = run(&sandbox, program, &["--help"]);
        assert!(status(&output) == 0 && stdout(&output).contains("usage:"), "{}", stdout(&output));
    }
    assert!(stdout(&run(&sandbox, BUILDER, &["-h"])).contains("qemu-img-options"));
}

#[test]
fn wrong_words_are_told_as_getopt_tells_them() {
    let sandbox = Sandbox::new();
    for (words, expected) in [
        (&["--bogus"][..], "unrecognized option '--bogus'"),
        (&["--im"], "option '--im' is ambiguous; possibilities: '--image-size' '--image-cache'"),
        (&["--image-size"], "option '--image-size' requires an argument"),
        (&["-q"], "invalid option -- 'q'"),
        (&["-a"], "option requires an argument -- 'a'"),
        (&["--checksum=1"], "option '--checksum' doesn't allow an argument"),
        (&["--of=x"], "option '--offline' doesn't allow an argument"),
        (&["--image-size", "much", "vm"], "--image-size"),
        (&["--disk-writer=dd", "vm"], "`loop`"),
        (&["--max-age=soon", "vm"], "6h"),
    ] {
        let output = run(&sandbox, DISK, words);
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(status(&output), 1, "{words:?}");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let output = run(&sandbox, RAMDISK, &["--bogus"]);
    assert!(stderr(&output).starts_with("ramdisk-image-create: unrecognized option '--bogus'"));
    assert_eq!(stdout(&output), "");
}

#[test]
fn without_an_element_nothing_is_built() {
    let output = run(&Sandbox::new(), DISK, &["-o", "x"]);
    assert_eq!(status(&output), 1);
    assert!(stdout(&output).contains("ERROR: At least one distribution root element must be specified"));
}

#[test]
fn options_may_follow_elements_be_shortened_and_joined() {
    let sandbox = Sandbox::new();
    let words = ["fake-os", "-nu", "--image-s=3", "--offl", "--mkfs", "-N 7", "-ox", "web"];
    assert_eq!(line(&sandbox, DISK, &words, "Building elements: "), "fake-os web");
    let mut posix = command(&sandbox, DISK, &["-n", "fake-os", "-u"]);
    let output = posix.env("POSIXLY_CORRECT", "1").output().unwrap();
    assert!(stdout(&output).contains("Building elements: fake-os -u"), "{}", stdout(&output));
}

#[test]
fn vm_brings_a_block_device_and_everything_brings_base() {
    let sandbox = Sandbox::new();
    let building = |words: &[&str]| line(&sandbox, DISK, words, "Building elements: ");
    assert_eq!(building(&["-a", "amd64", "vm", "fake-os"]), "base vm fake-os block-device-mbr");
    assert_eq!(building(&["-a", "arm64", "vm", "fake-os"]), "base vm fake-os block-device-efi");
    assert_eq!(building(&["-a", "aarch64", "-n", "vm", "fake-os"]), "vm fake-os block-device-efi");
    assert_eq!(building(&["-n", "vm", "block-device-gpt", "fake-os"]), "vm block-device-gpt fake-os");
    assert_eq!(building(&["fake-os"]), "base fake-os");
}

#[test]
fn a_ram_disk_brings_its_element_before_base() {
    let sandbox = Sandbox::new();
    let building = |words: &[&str]| line(&sandbox, RAMDISK, words, "Building elements: ");
    assert_eq!(building(&["fake-os"]), "ramdisk base fake-os");
    assert_eq!(building(&["--ramdisk-element", "dracut-ramdisk", "-n", "fake-os"]), "dracut-ramdisk fake-os");
    let words = ["-n", "--ramdisk-element", "dracut-ramdisk", "fake-os"];
    assert_eq!(line(&sandbox, DISK, &words, "Building elements: "), "fake-os");
}

#[test]
fn what_elements_need_is_shown_in_the_order_of_the_image() {
    let sandbox = Sandbox::new();
    let output = run(&sandbox, DISK, &["-o", "no/x", "vm", "debian-minimal"]);
    let text = stdout(&output);
    let expanded = text.lines().find_map(|line| line.split_once("Expanded element dependencies to: ")).unwrap().1;
    let names: Vec<&str> = expanded.split(' ').collect();
    for (first, then) in [("dpkg", "debootstrap"), ("debootstrap", "debian-minimal"), ("bootloader", "vm")] {
        let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
        assert!(place(first) < place(then), "{expanded}");
    }
}

#[test]
fn lines_bear_date_and_time_unless_they_must_not() {
    let sandbox = Sandbox::new();
    let stamped = |line: &str| {
        let digits: String = line.chars().take(23).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        digits == "0000-00-00 00:00:00.000" && line[23..].starts_with(" | ")
    };
    let text = stdout(&run(&sandbox, DISK, &["vmm", "debian-minimal"]));
    assert!(text.lines().count() >= 3 && text.lines().all(stamped), "{text}");
    assert!(text.contains("diskimage-builder version ") && text.contains("did you mean `vm`"), "{text}");
    let plain = command(&sandbox, DISK, &["vmm", "debian-minimal"]).env("DIB_NO_TIMESTAMP", "1").output().unwrap();
    assert!(stdout(&plain).starts_with("diskimage-builder version "), "{}", stdout(&plain));
    assert_eq!(stderr(&plain), "", "everything is on standard output");
}

#[test]
fn a_log_file_grows_is_stamped_and_keeps_the_output_quiet() {
    let sandbox = Sandbox::new();
    let words = ["--logfile", "l.log", "vmm", "debian-minimal"];
    let log = || fs::read_to_string(sandbox.path().join("l.log")).unwrap();
    let output = command(&sandbox, DISK, &words).env("DIB_NO_TIMESTAMP", "1").output().unwrap();
    assert_eq!(stdout(&output), "Output logs going to: l.log\n");
    assert!(stderr(&output).contains("'vmm' not found"), "a failure is never silent: {}", stderr(&output));
    let first = log();
    assert!(first.lines().count() >= 3 && first.lines().all(|line| line[23..].starts_with(" | ")), "{first}");
    let output = command(&sandbox, DISK, &words).env("DIB_QUIET", "0").output().unwrap();
    assert!(stdout(&output).contains("'vmm' not found") && stderr(&output).is_empty(), "{}", stdout(&output));
    assert!(log().starts_with(&first) && log().len() > first.len());
    let quiet = command(&sandbox, DISK, &["vmm", "debian-minimal"]).env("DIB_QUIET", "1").output().unwrap();
    assert!(stdout(&quiet).is_empty() && stderr(&quiet).contains("'vmm' not found"));
    let output = run(&sandbox, DISK, &["--logfile", "no/such/l.log", "vm"]);
    assert!(status(&output) == 1 && stderr(&output).contains("no/such/l.log"), "{}", stderr(&output));
}

#[test]
fn clearing_the_environment_takes_the_search_path_away_and_says_so() {
    let sandbox = Sandbox::new();
    let elements = elements(&sandbox);
    let said = |words: &[&str]| {
        let mut command = command(&sandbox, DISK, words);
        stdout(&command.env("ELEMENTS_PATH", &elements).env("DIB_RELEASE", "sid").output().unwrap())
    };
    let kept = said(&["-n", "wep", "fake-os"]);
    assert!(kept.contains("did you mean `web`"), "{kept}");
    let cleared = said(&["-c", "-n", "web", "debian-minimal"]);
    assert!(
        cleared.contains("among them DIB_RELEASE ELEMENTS_PATH") && cleared.contains("'web' not found"),
        "{cleared}"
    );
}

#[test]
fn a_suffix_is_taken_off_for_exactly_one_type() {
    let sandbox = Sandbox::new();
    let says = |words: &[&str], expected: &str| {
        let output = run(&sandbox, DISK, words);
        assert_eq!(status(&output), 1);
        assert!(stdout(&output).contains(expected), "{words:?}: {}", stdout(&output));
    };
    says(&["-o", "no/i.qcow2", "-t", "qcow2", "vm", "debian-minimal"], "no/i.qcow2: the folder");
    says(&["-o", "no/i.qcow2", "-t", "raw,qcow2", "vm", "debian-minimal"], "no/i.qcow2.raw: the folder");
    says(&["-o", "no/i.raw", "vm", "debian-minimal"], "no/i.raw.qcow2: the folder");
    says(&["-o", "no/", "vm", "debian-minimal"], "names no file");
}

#[test]
fn mistakes_are_found_before_the_slow_part() {
    let sandbox = Sandbox::new();
    let says = |words: &[&str], variables: &[(&str, &str)], expected: &str| {
        let output = command(&sandbox, DISK, words).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(status(&output), 1, "{words:?} {variables:?}");
        assert!(stdout(&output).contains(expected), "{words:?}: {}", stdout(&output));
    };
    says(&["-t", "qcow3", "vm", "debian-minimal"], &[], "`qcow2`");
    says(&["-t", "docker", "vm", "debian-minimal"], &[], "docker");
    says(&["-a", "vax", "vm", "debian-minimal"], &[], "-a is `vax`");
    says(&["vm"], &[], "no operating system");
    says(&["vm", "debian-minimal"], &[("break", "before-instal")], "did you mean `before-install`");
    says(&["vm", "debian-minimal"], &[("ELEMENTS_PATH", "/nowhere")], "'/nowhere' is not a directory");
    says(&["vm", "debian-minimal"], &[("OVERWRITE_OLD_IMAGE", "yes")], "OVERWRITE_OLD_IMAGE");
    // Units are case-sensitive; without one it is GiB.
    says(&["vm", "debian-minimal"], &[("DIB_IMAGE_SIZE", "10g")], "DIB_IMAGE_SIZE is no size");
    says(&["--image-size", "0.1", "vm", "debian-minimal", "block-device-efi"], &[], "ESP");
    let store = sandbox.path().join("store/packages");
    assert_eq!(fs::read_dir(store).map_or(0, Iterator::count), 0, "something was downloaded");
}

#[test]
fn folders_for_caches_and_locks_are_made() {
    let sandbox = Sandbox::new();
    let home = |path: &str| sandbox.path().join("home/.cache").join(path);
    run(&sandbox, DISK, &["vmm", "debian-minimal"]);
    assert!(home("image-create").is_dir() && home("dib/lockfiles").is_dir());
    let mut command = command(&sandbox, DISK, &["--image-cache", "mine", "vmm", "debian-minimal"]);
    command.env("DIB_LOCKFILES", sandbox.path().join("locks")).output().unwrap();
    assert!(sandbox.path().join("mine").is_dir() && sandbox.path().join("locks").is_dir());
}

fn yaml(sandbox: &Sandbox, text: &str) -> String {
    let path = sandbox.path().join("images.yaml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_dry_run_shows_the_commands_on_standard_error_only() {
    let sandbox = Sandbox::new();
    let file = yaml(
        &sandbox,
        "- imagename: one\n  arch: amd64\n  types: [qcow2, raw]\n  elements: [vm, debian]\n  environment: {A: \"b c\", C: ''}\n  \
         debug-trace: 2\n  uncompressed: true\n  packages: [x, y]\n  image-size: 4\n  checksum: true\n  \
         qemu-img-options: {compat: \"0.10\"}\n- elements: [foo]\n  packages: [z]\n\
         - imagename: two\n  ramdisk: yes\n  clear: true\n  skip-base: true\n  mkfs-options: \"-i 1\"\n  elements: [e]\n",
    );
    let output = run(&sandbox, BUILDER, &["--dry-run", &file]);
    assert_eq!((status(&output), stdout(&output)), (0, String::new()));
    assert_eq!(
        stderr(&output),
        "A='b c' C='' disk-image-create -o one -a amd64 -t qcow2,raw -x -x -u --checksum --image-size 4 \
         --qemu-img-options compat=0.10 -p x,y,z vm debian foo\n\n\
         ramdisk-image-create -o two -c --mkfs-options '-i 1' -n e\n\n"
    );
}

#[test]
fn files_that_are_wrong_are_refused_before_anything_is_built() {
    let sandbox = Sandbox::new();
    let refused = |text: &str, expected: &str| {
        let output = run(&sandbox, BUILDER, &[&yaml(&sandbox, text)]);
        assert_eq!((status(&output), stdout(&output)), (1, String::new()));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    refused("- elements: [a]\n- environment: {A: 1}\n", "images.yaml:2: entry 2: environment.A is 1, a number");
    refused("- elemnts: [a]\n", "did you mean `elements`");
    refused("- arch: vax\n", "arch is `vax`");
    refused("", "is empty");
    let output = run(&sandbox, BUILDER, &["none.yaml"]);
    assert!(status(&output) == 1 && stderr(&output).contains("cannot read none.yaml"), "{}", stderr(&output));
    let output = run(&sandbox, BUILDER, &[]);
    assert!(status(&output) == 2 && stderr(&output).starts_with("usage: diskimage-builder"), "{}", stderr(&output));
    assert_eq!(status(&run(&sandbox, BUILDER, &["--bogus"])), 2);
}

#[test]
fn an_image_that_fails_stops_the_others_only_when_asked_to() {
    let sandbox = Sandbox::new();
    let path = elements(&sandbox);
    let file = yaml(
        &sandbox,
        &format!(
            "- imagename: one\n  elements: [nothing, fake-os]\n  skip-base: true\n- imagename: two\n  \
             elements: [nothing-too, fake-os]\n  environment: {{ELEMENTS_PATH: '{}'}}\n",
            path.display()
        ),
    );
    let all = run(&sandbox, BUILDER, &[&file]);
    assert_eq!(status(&all), 1);
    assert!(stderr(&all).contains("2 of 2 images failed: one (exit status 1), two"), "{}", stderr(&all));
    assert!(stdout(&all).contains("'nothing-too' not found"), "{}", stdout(&all));
    let stopped = run(&sandbox, BUILDER, &[&file, "--stop"]);
    assert_eq!(status(&stopped), 1);
    assert!(stderr(&stopped).contains("1 of 2 images failed: one"), "{}", stderr(&stopped));
    assert!(!stdout(&stopped).contains("nothing-too"));
}

fn info(sandbox: &Sandbox, words: &[&str], path: &Path) -> Output {
    command(sandbox, INFO, words).env("ELEMENTS_PATH", path).output().unwrap()
}

#[test]
fn element_info_shows_what_is_needed_and_nothing_that_is_not() {
    let sandbox = Sandbox::new();
    let path = elements(&sandbox);
    let output = info(&sandbox, &["web", "fake-os"], &path);
    assert_eq!((status(&output), stdout(&output).as_str()), (0, "fake-os helper web\n"));
    assert_eq!(stdout(&info(&sandbox, &["fake-os", "web", "web"], &path)), "fake-os helper web\n");
    let output = info(&sandbox, &["wep", "fake-os"], &path);
    assert!(
        status(&output) == 1 && stderr(&output).contains("'wep' not found; did you mean `web`"),
        "{}",
        stderr(&output)
    );
    assert_eq!(status(&info(&sandbox, &[], &path)), 2);
    let output = info(&sandbox, &["web"], Path::new("/nowhere"));
    assert!(status(&output) == 1 && stderr(&output).contains("'/nowhere' is not a directory"), "{}", stderr(&output));
}

#[test]
fn bash_understands_what_element_info_prints() {
    let sandbox = Sandbox::new();
    let path = elements(&sandbox);
    let script = "eval \"$($0 --env web fake-os)\"; eval declare -A all=\\(\"$(get_image_element_array)\"\\); \
                  echo \"$IMAGE_ELEMENT\"; echo \"${all[web]}\"; bash -c 'get_image_element_array; echo \"$IMAGE_ELEMENT_YAML\"'";
    let mut bash = command(&sandbox, "bash", &["-c", script, INFO]);
    let output = bash.env("ELEMENTS_PATH", &path).output().unwrap();
    let at = |name: &str| path.join(name).display().to_string();
    let expected = format!(
        "fake-os helper web\n{web}\n[fake-os]={os} [helper]={helper} [web]={web} \nfake-os: {os}\nhelper: {helper}\nweb: {web}\n\n",
        web = at("web"),
        os = at("fake-os"),
        helper = at("helper")
    );
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
    assert_eq!(
        stdout(&info(&sandbox, &["-e", "web", "fake-os"], &path)).lines().next(),
        Some("export IMAGE_ELEMENT='fake-os helper web'")
    );
}
