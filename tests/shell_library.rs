//! The files that shell hooks know as `$_LIB`, run by bash and python as hooks run them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use camino::Utf8PathBuf;
use kiln::element::shell_functions::exported_functions;

use crate::support::{KILN, Sandbox, stderr, stdout};

/// The library as a build sees it: unpacked into a store by kiln itself.
fn library(sandbox: &Sandbox) -> PathBuf {
    let output = sandbox.kiln(&["library", "shell"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    PathBuf::from(stdout(&output).trim_end())
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// An environment like that of a hook.
fn hook(program: impl AsRef<std::ffi::OsStr>, library: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("_LIB", library).env("KILN", KILN).env("LC_ALL", "C").env("HOME", "/root");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// Runs a script as hooks are written: it stops at errors and at unset variables.
fn bash(library: &Path, script: &str) -> Output {
    let script = format!("set -eu -o pipefail\n{script}");
    hook("bash", library).args(["-c", &script]).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}\n{}", output.status, stdout(output), stderr(output));
    stdout(output)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn shellcheck_approves_of_every_bash_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib/shell");
    let is_bash = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.starts_with("#!/bin/bash\n") || text.starts_with("# shellcheck shell=bash\n")
    };
    let scripts: Vec<_> = files(&root).into_iter().filter(is_bash).collect();
    assert!(scripts.len() >= 13, "{scripts:?}");
    let output = Command::new("shellcheck").arg("-x").arg("-P").arg(&root).args(&scripts).output();
    let output =
        output.unwrap_or_else(|error| panic!("shellcheck: {error}; scripts/install-tools --tests installs it"));
    assert!(output.status.success(), "{}", stdout(&output));
}

mod run_parts {
    use super::*;

    /// A folder of hooks whose names sort in every way that matters.
    fn hooks(sandbox: &Sandbox) -> PathBuf {
        let folder = sandbox.path().join("hooks/install.d");
        for name in ["100-q", "20-z", "010-d", "10-b", "3-x", "-3x", "foo"] {
            write(&folder.join(name), &format!("#!/bin/bash\necho \"{name} ${{FOO:-}}\"\n"), 0o755);
        }
        write(&folder.join("50-no-shebang"), "echo by bash\n", 0o755);
        write(&folder.join("60-data"), "", 0o644);
        write(&folder.join("70-unit.service"), "", 0o755);
        write(&folder.join("static/80-below"), "#!/bin/sh\necho never\n", 0o755);
        symlink("10-b", folder.join("11-link")).unwrap();
        symlink("/nowhere", folder.join("12-dangling")).unwrap();
        folder
    }

    const ORDER: &[&str] = &["-3x", "foo", "3-x", "010-d", "10-b", "11-link", "20-z", "50-no-shebang", "100-q"];

    fn run(library: &Path, folder: &Path, extra: &[(&str, &str)]) -> Output {
        hook(library.join("dib-run-parts"), library).arg(folder).envs(extra.iter().copied()).output().unwrap()
    }

    #[test]
    fn hooks_are_chosen_by_name_and_run_by_number() {
        let sandbox = Sandbox::new();
        let (library, folder) = (library(&sandbox), hooks(&sandbox));
        let list = hook(library.join("dib-run-parts"), &library).arg("--list").arg(&folder).output().unwrap();
        let expected: Vec<_> = ORDER.iter().map(|name| format!("{}/{name}", folder.display())).collect();
        assert_eq!(said(&list).lines().collect::<Vec<_>>(), expected);

        let output = said(&run(&library, &folder, &[]));
        assert_eq!(output, "-3x \nfoo \n3-x \n010-d \n10-b \n10-b \n20-z \nby bash\n100-q \n");

        let only = run(&library, &folder, &[("RUN_PARTS_REGEX", "^[0-9]+-z$")]);
        assert_eq!(said(&only), "20-z \n");
    }

    #[test]
    fn the_transcript_has_a_line_for_each_step_and_ends_with_the_times() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let folder = sandbox.path().join("in_target.d/pre-install.d");
        write(&folder.join("04-foo"), "#!/bin/bash\nsleep 0.12\n", 0o755);
        write(&folder.join("20-bar"), "#!/bin/bash\necho \"$FOO\"\n", 0o755);
        write(&folder.join("../environment.d/10-x.bash"), "export FOO=bar\n", 0o644);
        let output = run(&library, &folder, &[]);
        assert_eq!(said(&output), "bar\n");
        let shown = folder.display();
        let transcript = stderr(&output);
        let lines: Vec<_> = transcript.lines().collect();
        let steps = [
            format!("dib-run-parts Sourcing environment file {shown}/../environment.d/10-x.bash"),
            format!("+ source {shown}/../environment.d/10-x.bash"),
            "++ export FOO=bar".into(),
            "++ FOO=bar".into(),
            format!("dib-run-parts Running {shown}/04-foo"),
            "dib-run-parts 04-foo completed".into(),
            format!("dib-run-parts Running {shown}/20-bar"),
            "dib-run-parts 20-bar completed".into(),
            "dib-run-parts ----------------------- PROFILING -----------------------".into(),
            "dib-run-parts ".into(),
            "dib-run-parts Target: pre-install.d".into(),
            "dib-run-parts ".into(),
            "dib-run-parts Script                                     Seconds".into(),
            "dib-run-parts ---------------------------------------  ----------".into(),
            "dib-run-parts ".into(),
        ];
        assert_eq!(lines[..steps.len()], steps);
        assert_eq!(
            lines[steps.len() + 2..],
            ["dib-run-parts ", "dib-run-parts --------------------- END PROFILING ---------------------"]
        );
        for (line, name, least) in [(lines[steps.len()], "04-foo", 0.12), (lines[steps.len() + 1], "20-bar", 0.0)] {
            let row = line.strip_prefix("dib-run-parts ").unwrap();
            assert_eq!(row.len(), 51, "{row}");
            assert_eq!(row[..40].trim_end(), name);
            let seconds = row[41..].trim_start();
            assert_eq!(seconds.split('.').nth(1).unwrap().len(), 3, "{row}");
            assert!((least..5.0).contains(&seconds.parse::<f64>().unwrap()), "{row}");
        }
    }

    #[test]
    fn environment_files_are_sourced_bytewise_and_reach_the_hooks() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let folder = sandbox.path().join("hooks/install.d");
        write(&folder.join("10-show"), "#!/bin/bash\necho \"$ORDER $(umask) $PWD ${PLAIN:-no} $#\"\n", 0o755);
        let environment = sandbox.path().join("hooks/environment.d");
        write(&environment.join("100-a.bash"), "export ORDER=100\numask 027\ncd /\nPLAIN=x\nshopt -s extglob\n", 0o644);
        write(&environment.join("20-b"), "LIST=(a b)\nexport ORDER=$ORDER,20\nreturn 0\nexit 9\n", 0o755);
        write(&environment.join("3-c"), "export ORDER=$ORDER,3,${LIST[1]}\nset +e\n", 0o644);
        write(&environment.join("not this"), "exit 8\n", 0o644);
        assert_eq!(said(&run(&library, &folder, &[])), "100,20,3,b 0027 / no 0\n");

        write(&environment.join("5-d"), "echo $NEVER_SET\n", 0o644);
        let unset = run(&library, &folder, &[]);
        assert_eq!(unset.status.code(), Some(1));
        assert!(stderr(&unset).contains("NEVER_SET: unbound variable"), "{}", stderr(&unset));

        write(&environment.join("5-d"), "exit 6\n", 0o644);
        assert_eq!(run(&library, &folder, &[]).status.code(), Some(6));
    }

    #[test]
    fn the_first_hook_that_fails_gives_its_status() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let folder = sandbox.path().join("install.d");
        write(&folder.join("10-bad"), "#!/bin/bash\nexit 7\n", 0o755);
        write(&folder.join("20-never"), "#!/bin/bash\necho never\n", 0o755);
        let output = run(&library, &folder, &[]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(7), ""));
        assert_eq!(stderr(&output), format!("dib-run-parts Running {}/10-bad\n", folder.display()));
    }

    #[test]
    fn a_wrong_folder_and_ignored_files_are_named() {
        let sandbox = Sandbox::new();
        let (library, folder) = (library(&sandbox), hooks(&sandbox));
        let missing = run(&library, Path::new("/nowhere/at/all"), &[]);
        assert_eq!(missing.status.code(), Some(1));
        let text = stderr(&missing);
        assert!(
            text.starts_with("dib-run-parts Scripts directory [/nowhere/at/all] must exist and be a directory\n"),
            "{text}"
        );
        let bare = hook(library.join("dib-run-parts"), &library).output().unwrap();
        assert_eq!(bare.status.code(), Some(1));
        assert!(stderr(&bare).starts_with("Usage: dib-run-parts"), "{}", stderr(&bare));
        let traced = stderr(&run(&library, &folder, &[("DIB_DEBUG_TRACE", "1")]));
        assert!(traced.contains("dib-run-parts Ignoring non-executable files: 60-data\n"), "{traced}");
        assert!(traced.contains("dib-run-parts Ignoring non-conforming filenames: 70-unit.service\n"), "{traced}");
    }
}

#[test]
fn die_says_why_and_never_succeeds() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let after_failure = bash(&library, "source $_LIB/die; (exit 4) || die 'no  *  more'");
    assert_eq!((after_failure.status.code(), stdout(&after_failure).as_str()), (Some(4), "no  *  more\n"));
    let after_success = bash(&library, "source $_LIB/die; if true; then die stop; fi");
    assert_eq!(after_success.status.code(), Some(1));
    let child = bash(&library, "source $_LIB/die; bash -c 'false || die child'");
    assert_eq!((child.status.code(), stdout(&child).as_str()), (Some(1), "child\n"));
}

#[test]
fn host_hooks_inherit_functions() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let elements: Vec<(String, Utf8PathBuf)> =
        vec![("base".into(), "/e/base".into()), ("odd".into(), "/it's \"$HOME\" here/odd".into())];
    let script = sandbox.path().join("hooks/install.d/10-x");
    write(
        &script,
        "#!/bin/bash\nset -eu\neval \"declare -A all=($(get_image_element_array))\"\n\
         eval declare -A again=($(get_image_element_array))\n[ \"${again[base]}\" = /e/base ]\n\
         echo \"${#all[@]} ${all[odd]}\"\nPS4='+ $(_ps4):   '; set -x\n: traced\nset +x\nfalse || die bye\n",
        0o755,
    );
    let output = hook(&script, &library).envs(exported_functions(&elements)).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stdout(&output), "2 /it's \"$HOME\" here/odd\nbye\n");
    assert!(stderr(&output).contains("+ install.d/10-x:main:8:   : traced\n"), "{}", stderr(&output));
}

#[test]
fn defaults_keep_what_is_set_and_need_nothing() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    // As in an image: neither the program's element folder nor sbin folders are known.
    let script = "PATH=/usr/bin:/bin; source $_LIB/common-defaults; source $_LIB/img-defaults; source $_LIB/ramdisk-defaults
        bash -c 'echo $FS_TYPE $IMAGE_TYPE $IMAGE_NAME $DIB_CHECKSUM $DIB_NO_TMPFS $DIB_MIN_TMPFS $RAMDISK_ELEMENT [$ELEMENTS_PATH] $PATH'
        echo [$MODULE_ROOT$LIB_UDEV_ROOT]";
    assert_eq!(
        said(&bash(&library, script)),
        "ext4 qcow2 image 0 0 2 ramdisk [] /usr/bin:/bin:/sbin:/usr/sbin:/usr/local/sbin\n[]\n"
    );
    let script = "ARCH=s390x FS_TYPE=xfs ELEMENTS_PATH=/a DIB_MODULE_ROOT=/m _BASE_ELEMENT_DIR=/own
        source $_LIB/ramdisk-defaults; source $_LIB/img-defaults
        echo $ARCH $FS_TYPE $ELEMENTS_PATH $DIB_NO_TMPFS $DIB_MIN_TMPFS $MODULE_ROOT";
    assert_eq!(said(&bash(&library, script)), "s390x xfs /a:/own 1 1 /m\n");
}

mod images {
    use super::*;

    fn select(library: &Path, root: &Path, before: &str) -> Output {
        let root = root.display();
        bash(
            library,
            &format!(
                "{before}\nsource $_LIB/img-functions; select_boot_kernel_initrd {root}; echo $KERNEL:$RAMDISK:$BOOTDIR"
            ),
        )
    }

    #[test]
    fn the_newest_kernel_of_each_family_is_found() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let tree = |name: &str, files: &[&str]| {
            let root = sandbox.path().join(name);
            for file in files {
                write(&root.join(file), "", 0o644);
            }
            root
        };
        let expect = |root: &Path, before: &str, expected: &str| {
            let output = select(&library, root, before);
            assert_eq!(said(&output), format!("{expected}:{}/boot\n", root.display()));
        };
        let debian = tree(
            "debug-debian",
            &[
                "etc/debian_version",
                "boot/vmlinuz-6.1.0-9-amd64",
                "boot/initrd.img-6.1.0-9-amd64",
                "boot/vmlinuz-6.1.0-21-amd64",
                "boot/initrd.img-6.1.0-21-amd64",
                "boot/config-6.1.0-21-amd64",
            ],
        );
        expect(&debian, "", "vmlinuz-6.1.0-21-amd64:initrd.img-6.1.0-21-amd64");
        expect(
            &debian,
            "DIB_BAREMETAL_KERNEL_PATTERN='vmlinuz-*-9-*' DIB_BAREMETAL_INITRD_PATTERN='initrd*-9-*'",
            "vmlinuz-6.1.0-9-amd64:initrd.img-6.1.0-9-amd64",
        );
        let ubuntu = tree(
            "ubuntu",
            &[
                "etc/debian_version",
                "boot/vmlinuz-6.8.0-2-generic",
                "boot/vmlinuz-6.8.0-31-generic",
                "boot/vmlinuz-9-lowlatency",
                "boot/initrd.img-6.8.0-2-generic",
                "boot/initrd.img-6.8.0-31-generic",
                "boot/vmlinuz-6.8.0-31-generic.efi.signed",
            ],
        );
        expect(&ubuntu, "", "vmlinuz-6.8.0-31-generic:initrd.img-6.8.0-31-generic");
        write(
            &ubuntu.join("dib-signed-kernel-version"),
            "export DIB_SIGNED_KERNEL_VERSION=6.8.0-31-generic.efi.signed\n",
            0o644,
        );
        expect(&ubuntu, "", "vmlinuz-6.8.0-31-generic.efi.signed:initrd.img-6.8.0-31-generic");
        let redhat = tree(
            "redhat",
            &[
                "etc/redhat-release",
                "boot/vmlinuz-5.14.0-9.el9",
                "boot/vmlinuz-5.14.0-100.el9",
                "boot/vmlinuz-5.14.0-200.el9+debug",
                "boot/initramfs-5.14.0-100.el9.img",
                "boot/initramfs-5.14.0-9.el9.img",
            ],
        );
        expect(&redhat, "", "vmlinuz-5.14.0-100.el9:initramfs-5.14.0-100.el9.img");
        let suse = tree("suse", &["etc/os-release", "boot/vmlinuz-5.3-default", "boot/initrd-5.3-default"]);
        symlink("vmlinuz-5.3-default", suse.join("boot/vmlinuz")).unwrap();
        symlink("initrd-5.3-default", suse.join("boot/initrd")).unwrap();
        expect(&suse, "export DISTRO_NAME=opensuse", "vmlinuz-5.3-default:initrd-5.3-default");
        let gentoo =
            tree("gentoo", &["etc/gentoo-release", "boot/vmlinuz-6.6.1-gentoo", "boot/initramfs-6.6.1-gentoo.img"]);
        expect(&gentoo, "", "vmlinuz-6.6.1-gentoo:initramfs-6.6.1-gentoo.img");

        let nothing = select(&library, &tree("unknown", &["etc/issue"]), "");
        assert_eq!(nothing.status.code(), Some(1));
        assert!(stdout(&nothing).contains("Unable to detect operating system"));
        let no_kernel = select(&library, &tree("empty", &["etc/debian_version"]), "");
        assert_eq!(no_kernel.status.code(), Some(1));
        assert!(stdout(&no_kernel).contains("no suitable kernel"), "{}", stdout(&no_kernel));
    }

    #[test]
    fn commands_reach_the_image_with_its_own_surroundings() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        // A chroot that only shows how it was called.
        write(
            &sandbox.path().join("bin/chroot"),
            "#!/bin/bash\necho \"root=$1 home=$HOME\"\nshift\nexec \"$@\"\n",
            0o755,
        );
        let script = format!(
            "PATH=$_LIB/bin:{}/bin:$PATH TMP_MOUNT_PATH=/the/mnt TMPDIR=/x VIRTUAL_ENV=/v WORD=kept\n\
             export PATH TMPDIR VIRTUAL_ENV WORD\nsource $_LIB/img-functions\n\
             run_in_target 'echo $WORD ${{TMPDIR:-gone}} ${{VIRTUAL_ENV:-gone}}' '&& echo' second\necho $HOME\n\
             run_in_target exit 9",
            sandbox.path().display()
        );
        let output = bash(&library, &script);
        assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
        assert_eq!(
            stdout(&output),
            "root=/the/mnt home=/root\nkept gone gone\nsecond\n/root\nroot=/the/mnt home=/root\n"
        );
    }

    #[test]
    fn a_scratch_folder_is_made_and_removed_also_after_a_failure() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let tmp = sandbox.path().join("tmp");
        fs::create_dir(&tmp).unwrap();
        let script = format!(
            "export TMP_DIR={}\nsource $_LIB/common-functions; source $_LIB/img-functions\nmk_build_dir\n\
             mkdir $TMP_BUILD_DIR/mnt; echo data >$TMP_IMAGE_PATH\n[ $TMP_HOOKS_PATH = $TMP_BUILD_DIR/hooks ]\n\
             DIB_CHECKSUM=1 save_image {0}/out.img\nfalse",
            tmp.display()
        );
        let output = bash(&library, &script);
        assert_eq!(output.status.code(), Some(1), "{}{}", stdout(&output), stderr(&output));
        let mut left: Vec<_> =
            fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["out.img", "out.img.md5", "out.img.sha256"]);
        let again = bash(&library, &script);
        assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
        assert!(stdout(&again).contains("is there already"), "{}", stdout(&again));
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 6);
    }

    #[test]
    fn what_is_mounted_below_a_folder_is_unmounted_except_the_images_own() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let mnt = sandbox.path().join("b/mnt");
        let script = format!(
            "source $_LIB/common-functions\nexport PATH=$_LIB/bin:$PATH TMP_MOUNT_PATH={}\nmkdir -p $TMP_MOUNT_PATH\n\
             mount -t tmpfs none $TMP_MOUNT_PATH\ncd $TMP_MOUNT_PATH; mkdir -p boot proc tmp/boot 'tmp/with blank'\n\
             for d in boot proc tmp/boot 'tmp/with blank'; do mount -t tmpfs none \"$d\"; done\n\
             DIB_MOUNTPOINTS='/|/boot|none' unmount_dir $TMP_MOUNT_PATH\n\
             echo left:; while read -r _ where _; do case $where in $TMP_MOUNT_PATH*) echo \"${{where#$TMP_MOUNT_PATH}}\";; esac; done </proc/self/mounts\n\
             unmount_dir $TMP_MOUNT_PATH/none",
            mnt.display()
        );
        let output = hook("unshare", &library)
            .args(["--map-root-user", "--mount", "bash", "-c", &format!("set -eu -o pipefail\n{script}")])
            .output()
            .unwrap();
        let text = said(&output);
        let (_, left) = text.split_once("left:\n").unwrap();
        assert_eq!(left, format!("\n/boot\n*** {}/none is not a directory\n", mnt.display()), "{text}");
    }
}

mod python {
    use super::*;

    fn python(library: &Path, program: &str) -> Output {
        hook(library.join("python/python"), library).args(["-c", program]).output().unwrap()
    }

    #[test]
    fn logs_have_dibs_form() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let program = "import logging; from diskimage_builder import logging_config; logging_config.setup()\n\
                       log = logging.getLogger('squash'); log.info('Info'); log.debug('Debug')";
        assert_eq!(stderr(&python(&library, program)), "INFO squash [-] Info\n");
        let traced =
            hook(library.join("python/python"), &library).args(["-c", program]).env("DIB_DEBUG_TRACE", "1").output();
        assert_eq!(stderr(&traced.unwrap()), "INFO squash [-] Info\nDEBUG squash [-] Debug <module> <string>:2\n");
        let config = sandbox.path().join("log.json");
        write(
            &config,
            r#"{"version": 1, "formatters": {"f": {"()": "diskimage_builder.logging_config.DibFormatter", "fmt": "%(message)s!",
                "debug_suffix": "?"}}, "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
                "root": {"handlers": ["h"], "level": "DEBUG"}}"#,
            0o644,
        );
        let mut own = hook(library.join("python/python"), &library);
        let own = own.args(["-c", program]).env("DIB_PYTHON_LOGGING_CONFIG_FILE", &config).output().unwrap();
        assert_eq!(stderr(&own), "Info!\nDebug!?\n");
    }

    #[test]
    fn paths_and_version_are_kilns() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let store = sandbox.path().join("store");
        let program = "from diskimage_builder import paths, version; paths.show_path('lib'); paths.show_path('elements'); \
                       print(version.version_info.release_string())";
        let output =
            hook(library.join("python/python"), &library).args(["-c", program]).env("KILN_STORE", &store).output();
        let text = said(&output.unwrap());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], library.to_str().unwrap());
        assert!(Path::new(lines[1]).join("vm").is_dir(), "{}", lines[1]);
        assert_eq!(lines[2], env!("CARGO_PKG_VERSION"));
        // Nothing was written beside the library's files.
        assert!(files(&library).iter().all(|file| !file.to_string_lossy().contains("__pycache__")));
    }

    #[test]
    fn elements_come_from_element_info() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let kiln = sandbox.path().join("programs/kiln");
        write(&kiln, "", 0o755);
        // Answers as element-info does, for paths that need quotes too.
        write(
            &sandbox.path().join("programs/element-info"),
            "#!/bin/bash\n[ \"$1\" = --env ] || { echo \"plain $*\"; exit; }\n\
             [ \"$2\" != gone ] || { echo \"error: Element 'gone' not found\" >&2; exit 1; }\n\
             cat <<'END'\nexport IMAGE_ELEMENT='base vm'\nfunction get_image_element_array {\n\
             echo \"[vm]=/e/vm [base]='/a b/base' \"\n};\nexport -f get_image_element_array;\nEND\n",
            0o755,
        );
        let run = |program: &str| {
            hook(library.join("python/python"), &library).args(["-c", program]).env("KILN", &kiln).output().unwrap()
        };
        let module = "from diskimage_builder import element_dependencies as e; ";
        let pairs = run(&format!("{module}print(e.get_elements(['vm'], '/e'))"));
        assert_eq!(said(&pairs), "[('base', '/a b/base'), ('vm', '/e/vm')]\n");
        let names = run(&format!("{module}print(sorted(e.expand_dependencies(['vm'], '/e')))"));
        assert_eq!(said(&names), "['base', 'vm']\n");
        let gone = run(&format!(
            "{module}\ntry: e.get_elements(['gone'], '/e')\nexcept e.MissingElementException as x: print(x)"
        ));
        assert_eq!(said(&gone), "error: Element 'gone' not found\n");
        assert!(stderr(&run(&format!("{module}e.get_elements(['vm'])"))).contains("$ELEMENTS_PATH must be set."));
        let script =
            hook("python3", &library).arg(library.join("element-info.py")).args(["a", "b"]).env("KILN", &kiln).output();
        assert_eq!(said(&script.unwrap()), "plain a b\n");
    }

    #[test]
    fn a_machine_without_python_is_told_so_and_one_without_yaml_helped() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let empty = sandbox.path().join("path");
        fs::create_dir(&empty).unwrap();
        let output = Command::new("/bin/bash")
            .arg(library.join("python/python"))
            .env_clear()
            .env("PATH", &empty)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(127));
        assert!(stderr(&output).contains("apt-get install python3"), "{}", stderr(&output));

        let program = "import io, yaml; print(yaml.safe_load('a: [1, yes, \"x\"]')); print(yaml.safe_load(io.StringIO('')));\
                       \nprint(yaml.safe_load(yaml.dump({'b': {'c': None}}, default_flow_style=False)))\
                       \ntry: yaml.safe_load('a: [')\nexcept yaml.YAMLError: print('refused')";
        let fallback = format!("{}:{}", library.join("python").display(), library.join("python/fallback").display());
        let output =
            hook("python3", &library).args(["-S", "-B", "-c", program]).env("PYTHONPATH", fallback).output().unwrap();
        assert_eq!(said(&output), "{'a': [1, True, 'x']}\nNone\n{'b': {'c': None}}\nrefused\n");
    }

    #[test]
    fn the_output_filter_stamps_lines_and_drops_traced_tracing() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let log = sandbox.path().join("log");
        let script = format!(
            "printf '%s\\n' 'an xtrace of a fault' '+ a:b:3:   set +o xtrace' '++ set +o' 'last' | \
             python3 $_LIB/outfilter.py -v -b -o {}",
            log.display()
        );
        assert_eq!(said(&bash(&library, &script)), "an xtrace of a fault\nlast\n");
        said(&bash(&library, &script));
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        for line in text.lines() {
            let (stamp, _) = line.split_once(" | ").unwrap();
            assert_eq!(stamp.len(), "2026-11-25 03:40:11.123".len(), "{line}");
        }
    }
}

mod block_device {
    use super::*;

    fn setup(sandbox: &Sandbox, config: &str, more: &str) -> PathBuf {
        let build = sandbox.path().join("build");
        write(&build.join("block-device/config.yaml"), config, 0o644);
        let params = build.join("block-device/params.yaml");
        let text = format!(
            "config: {}\nimage-dir: /i\nroot-fs-type: ext4\nmount-base: {1}/mnt\nbuild-dir: {1}\n{more}",
            build.join("block-device/config.yaml").display(),
            build.display()
        );
        write(&params, &text, 0o644);
        params
    }

    fn ask(library: &Path, params: &Path, words: &[&str]) -> Output {
        let mut command = hook("python3", library);
        command.arg(library.join("dib-block-device.py")).args(words).env("DIB_BLOCK_DEVICE_PARAMS_YAML", params);
        command.output().unwrap()
    }

    const LAYOUT: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: boot, size: 500MiB, mkfs: {type: ext4, mount: {mount_point: /boot}}}
      - {name: swap, size: 500MiB, mkfs: {type: swap, label: sw, mount: {mount_point: none}}}
      - name: root
        size: 100%
        mkfs: {name: mkfs_root, mount: {mount_point: /}}
";

    #[test]
    fn questions_before_there_are_devices_are_answered_from_the_description() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let params = setup(&sandbox, LAYOUT, "root-label: null\n");
        let value = |symbol: &str| said(&ask(&library, &params, &["getval", symbol]));
        assert_eq!(value("root-label"), "cloudimg-rootfs\n");
        assert_eq!(value("root-fstype"), "ext4\n");
        assert_eq!(value("boot-label"), "mkfs_boot\n");
        assert_eq!(value("mount-points"), "/boot|none|/\n");
        assert_eq!(said(&ask(&library, &params, &["init"])), "");

        let params = setup(&sandbox, LAYOUT, "root-label: mine\n");
        assert_eq!(said(&ask(&library, &params, &["getval", "root-label"])), "mine\n");
        let params = setup(&sandbox, "- local_loop: {name: image0}\n", "");
        let rootless = ask(&library, &params, &["getval", "root-label"]);
        assert_eq!(rootless.status.code(), Some(1));
        assert!(stderr(&rootless).contains("no file system is mounted at `/`"), "{}", stderr(&rootless));
        let params = setup(&sandbox, "- nothing: {}\n", "");
        assert_eq!(ask(&library, &params, &["init"]).status.code(), Some(1));
    }

    #[test]
    fn questions_about_devices_are_answered_from_the_state() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let params = setup(&sandbox, LAYOUT, "");
        let early = ask(&library, &params, &["getval", "image-block-device"]);
        assert_eq!(early.status.code(), Some(1));
        assert!(stderr(&early).contains("State dump not found"), "{}", stderr(&early));
        assert_eq!(ask(&library, &params, &["getval", "nonsense"]).status.code(), Some(1));
        write(
            &sandbox.path().join("build/states/block-device/state.json"),
            r#"{"blockdev": {"image0": {"device": "/dev/loop7", "image": "/i/image0.raw"}, "root": {"device": "/dev/loop7p3"}}}"#,
            0o644,
        );
        let value = |symbol: &str| said(&ask(&library, &params, &["getval", symbol]));
        assert_eq!(value("image-path"), "/i/image0.raw\n");
        assert_eq!(value("image-block-device"), "/dev/loop7\n");
        assert_eq!(value("image-block-devices"), " [image0]=/dev/loop7  [root]=/dev/loop7p3 \n");
        let unknown = ask(&library, &params, &["getval", "nonsense"]);
        assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (Some(0), ""));
        assert!(stderr(&unknown).contains("Invalid symbol [nonsense]"), "{}", stderr(&unknown));
    }

    #[test]
    fn what_kiln_does_itself_is_refused_and_statuses_are_dibs() {
        let sandbox = Sandbox::new();
        let library = library(&sandbox);
        let params = setup(&sandbox, LAYOUT, "");
        for (words, status, text) in [
            (&["create"][..], 1, "itself"),
            (&["cleanup"], 1, "itself"),
            (&["delete"], 1, "itself"),
            (&["writefstab"], 1, "itself"),
            (&["umount"], 0, "State already cleaned"),
            (&[], 1, "no command"),
            (&["explode"], 2, "explode"),
            (&["getval"], 2, "SYMBOL"),
        ] {
            let output = ask(&library, &params, words);
            assert_eq!(output.status.code(), Some(status), "{words:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(text), "{words:?}: {}", stderr(&output));
        }
        let absent = ask(&library, Path::new("/nowhere/params.yaml"), &["init"]);
        assert_eq!(absent.status.code(), Some(1));
        let unnamed = hook("python3", &library).arg(library.join("dib-block-device.py")).arg("init").output().unwrap();
        assert_eq!(unnamed.status.code(), Some(2), "{}", stderr(&unnamed));
    }
}

#[test]
fn sudo_runs_what_root_would_run() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let sudo =
        |words: &[&str]| hook(library.join("bin/sudo"), &library).args(words).env("WORD", "kept").output().unwrap();
    assert_eq!(said(&sudo(&["-E", "printenv", "WORD"])), "kept\n");
    assert_eq!(said(&sudo(&["-nEH", "A=b c", "printenv", "A", "HOME"])), "b c\n/root\n");
    assert_eq!(said(&sudo(&["-u", "root", "--preserve-env=WORD,X", "--", "X=1", "printenv", "X"])), "1\n");
    assert_eq!(said(&sudo(&["--user=root", "-H", "--preserve-env", "sh", "-c", "echo $0 $1", "a", "b c"])), "a b c\n");
    assert_eq!(said(&sudo(&["-s", "echo", "a  b", "$HOME"])), "a  b $HOME\n");
    assert_eq!(sudo(&["sh", "-c", "exit 5"]).status.code(), Some(5));
    for words in [&["-u", "nobody", "id"][..], &["--user=nobody", "id"], &["-unobody", "id"]] {
        let other = sudo(words);
        assert_eq!((other.status.code(), stdout(&other).as_str()), (Some(1), ""));
        assert!(stderr(&other).contains("nobody is refused"), "{}", stderr(&other));
    }
    for words in [&["cd", "/"][..], &["no-such-program"], &["--what", "id"], &["-Z", "id"], &[], &["-u"]] {
        assert_eq!(sudo(words).status.code(), Some(1), "{words:?}");
    }
}

#[test]
fn the_front_doors_lead_to_kilns_programs() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    for name in ["disk-image-create", "ramdisk-image-create"] {
        let programs = sandbox.path().join("programs");
        write(&programs.join(name), "#!/bin/bash\necho \"${0##*/} $*\"\n", 0o755);
        let beside = hook(library.join(name), &library).arg("-x").env("KILN", programs.join("kiln")).output().unwrap();
        assert_eq!(said(&beside), format!("{name} -x\n"));
        // The library's own folder in PATH does not make it call itself.
        let path = format!("{}:{}:/usr/bin:/bin", library.display(), programs.display());
        let found = hook(library.join(name), &library).env("KILN", "").env("PATH", &path).output().unwrap();
        assert_eq!(said(&found), format!("{name} \n"));
        let none = hook(library.join(name), &library).env("KILN", "").env("PATH", "/usr/bin:/bin").output().unwrap();
        assert_eq!(none.status.code(), Some(127));
    }
}
