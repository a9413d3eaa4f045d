//! The files that shell hooks know as `$_LIB`, run by bash and python as hooks run them.

mod block_device;
mod images;
mod python;
mod ramdisk;
mod run_parts;

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
    let output = hook(&script, &library)
        .envs(exported_functions(
            &elements.iter().map(|(name, folder)| (name.as_str(), folder.as_path())).collect::<Vec<_>>(),
        ))
        .output()
        .unwrap();
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
