//! GNU tar judges, and the `tar` crate reads what GNU tar does not show.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use camino::Utf8PathBuf;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::*;

fn write(tree: &Utf8Path, to: &Utf8Path, time: Option<i64>, events: &Events) -> Result<(), FormatError> {
    put(&Shape { tree, parts: &[], top: ".", time, last: None }, to, events)
}

fn put(shape: &Shape<'_>, to: &Utf8Path, events: &Events) -> Result<(), FormatError> {
    stream(shape, File::create(to).unwrap(), to, events).map(drop)
}

struct Tree {
    _directory: tempfile::TempDir,
    root: Utf8PathBuf,
    tree: Utf8PathBuf,
}

fn tree() -> Tree {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap().to_owned();
    let tree = root.join("tree");
    std::fs::create_dir(&tree).unwrap();
    Tree { _directory: directory, root, tree }
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words.iter().copied()).check(&Events::none()).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn names_are_sorted_and_begin_with_a_dot_and_lost_and_found_and_sockets_are_left_out() {
    let made = tree();
    let tree = &made.tree;
    std::fs::create_dir_all(tree.join("lost+found")).unwrap();
    std::fs::create_dir_all(tree.join("b/lost+found")).unwrap();
    std::fs::write(tree.join("b/z"), "z").unwrap();
    std::fs::write(tree.join("a"), "a").unwrap();
    std::fs::write(tree.join("b.c"), "").unwrap();
    symlink("a", tree.join("link")).unwrap();
    let _socket = UnixListener::bind(tree.join("socket")).unwrap();
    let to = made.root.join("t.tar");
    write(tree, &to, None, &Events::none()).unwrap();
    let listed = run(&["tar", "-tf", to.as_str()]);
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        ["./", "./a", "./b/", "./b/lost+found/", "./b/z", "./b.c", "./link"]
    );
}

#[test]
fn gnu_tar_restores_what_was_there() {
    let made = tree();
    let tree = &made.tree;
    let long = "n".repeat(120);
    std::fs::create_dir_all(tree.join(&long).join(&long)).unwrap();
    let deep = tree.join(&long).join(&long).join("file");
    std::fs::write(&deep, vec![1; 5000]).unwrap();
    std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o4751)).unwrap();
    symlink(format!("/{}", "t".repeat(150)), tree.join("symlink")).unwrap();
    std::fs::hard_link(&deep, tree.join("zz-hard-link")).unwrap();
    rustix::fs::lsetxattr(deep.as_std_path(), "user.kiln", b"value\0\n=", rustix::fs::XattrFlags::empty()).unwrap();
    // CAP_NET_RAW, permitted and effective, revision 2: what ping has.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    if is_root() {
        rustix::fs::lsetxattr(deep.as_std_path(), "security.capability", &capability, rustix::fs::XattrFlags::empty())
            .unwrap();
        mknod(tree.join("null").as_std_path(), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
        std::os::unix::fs::chown(tree.join("null"), Some(3_000_000), Some(7)).unwrap();
    }
    let to = made.root.join("t.tar");
    write(tree, &to, Some(1_000_000), &Events::none()).unwrap();
    let out = made.root.join("out");
    std::fs::create_dir(&out).unwrap();
    run(&["tar", "-C", out.as_str(), "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", to.as_str()]);
    let deep = out.join(&long).join(&long).join("file");
    let facts = std::fs::metadata(&deep).unwrap();
    assert_eq!((facts.mode() & 0o7777, facts.len(), facts.nlink(), facts.mtime()), (0o4751, 5000, 2, 1_000_000));
    assert_eq!(std::fs::metadata(out.join("zz-hard-link")).unwrap().ino(), facts.ino());
    assert_eq!(std::fs::read_link(out.join("symlink")).unwrap().as_os_str().len(), 151);
    let attribute = |name| {
        let mut buffer = [0; 64];
        let length = rustix::fs::lgetxattr(deep.as_std_path(), name, &mut buffer[..]).unwrap();
        buffer[..length].to_vec()
    };
    assert_eq!(attribute("user.kiln"), b"value\0\n=");
    if is_root() {
        assert_eq!(attribute("security.capability"), capability);
        let null = std::fs::symlink_metadata(out.join("null")).unwrap();
        assert_eq!((null.rdev(), null.uid(), null.gid()), (makedev(1, 3), 3_000_000, 7));
    }
    run(&["tar", "--compare", "-C", tree.as_str(), "--exclude=./null", "-f", to.as_str(), "./zz-hard-link"]);
}

#[test]
fn equal_trees_give_equal_bytes_and_late_times_are_clamped() {
    let archives: Vec<_> = [["one", "two"], ["two", "one"]]
        .into_iter()
        .map(|order| {
            let made = tree();
            for name in order {
                std::fs::write(made.tree.join(name), name).unwrap();
            }
            let to = made.root.join("t.tar");
            write(&made.tree, &to, Some(86_400), &Events::none()).unwrap();
            assert!(run(&["tar", "--utc", "-tvf", to.as_str()]).lines().all(|line| line.contains(" 1970-01-02 ")));
            std::fs::read(&to).unwrap()
        })
        .collect();
    assert!(archives[0] == archives[1]);
}

#[test]
fn what_is_mounted_on_the_tree_is_left_out_and_its_folder_stays() {
    if !is_root() {
        return;
    }
    let made = tree();
    std::fs::create_dir(made.tree.join("proc")).unwrap();
    std::fs::write(made.tree.join("z"), "").unwrap();
    let to = made.root.join("t.tar");
    // The mount lives in a namespace of its own; the archive is made by this process through the namespace's root.
    let script = format!("mount -t tmpfs none {0}/proc && touch {0}/proc/inside && exec sleep 100", made.tree);
    let holder = duct::cmd!("unshare", "--mount", "sh", "-c", script).start().unwrap();
    let pid = holder.pids()[0];
    let seen = Utf8PathBuf::from(format!("/proc/{pid}/root{}", made.tree));
    while !seen.join("proc/inside").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let result = write(&seen, &to, None, &Events::none());
    holder.kill().unwrap();
    result.unwrap();
    assert_eq!(run(&["tar", "-tf", to.as_str()]), "./\n./proc/\n./z\n");
}

#[test]
fn parts_of_the_image_are_in_and_binds_of_the_same_file_system_are_not() {
    if !is_root() {
        return;
    }
    let made = tree();
    let tree = &made.tree;
    for folder in ["cache", "boot/efi", "b"] {
        std::fs::create_dir_all(tree.join(folder)).unwrap();
    }
    let host = made.root.join("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("of-the-host"), "").unwrap();
    std::fs::write(tree.join("b/first"), "").unwrap();
    std::fs::hard_link(tree.join("b/first"), tree.join("b/second")).unwrap();
    symlink("./b/first", tree.join("link")).unwrap();
    let manifest = made.root.join("given.json");
    std::fs::write(&manifest, "{}").unwrap();
    let to = made.root.join("t.tar");
    let parts = [tree.join("boot/efi")];
    let shape = Shape { tree, parts: &parts, top: "rootfs", time: None, last: Some((&manifest, "manifest")) };
    crate::sandbox::mount::seeing_only(&made.root, &[], || {
        run(&["mount", "--bind", host.as_str(), tree.join("cache").as_str()]);
        run(&["mount", "-t", "tmpfs", "none", tree.join("boot/efi").as_str()]);
        std::fs::create_dir(tree.join("boot/efi/lost+found")).unwrap();
        std::fs::write(tree.join("boot/efi/grub"), "").unwrap();
        put(&shape, &to, &Events::none()).unwrap();
    })
    .unwrap();
    let listed = run(&["tar", "-tvf", to.as_str()]);
    let names: Vec<_> =
        listed.lines().map(|line| line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "rootfs/",
        "rootfs/b/",
        "rootfs/b/first",
        "rootfs/b/second link to rootfs/b/first",
        "rootfs/boot/",
        "rootfs/boot/efi/",
        "rootfs/boot/efi/grub",
        "rootfs/cache/",
        "rootfs/link -> ./b/first",
        "manifest",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_command_that_does_not_read_is_the_reason_told() {
    let made = tree();
    std::fs::write(made.tree.join("large"), vec![1; 4 << 20]).unwrap();
    let shape = Shape { tree: &made.tree, parts: &[], top: ".", time: None, last: None };
    let run = |words: &[&str]| pipe(&shape, Command::new(words.iter().copied()).quiet(), "tgz", &Events::none());
    let error = run(&["sh", "-c", "echo no such target >&2; exit 3"]).unwrap_err().to_string();
    assert!(error.contains("ended with status 3") && error.contains("no such target"), "{error}");
    let error = run(&["kiln-no-such-program"]).unwrap_err().to_string();
    assert!(error.contains("cannot start `kiln-no-such-program`"), "{error}");
    assert!(String::from_utf8(run(&["tar", "-t"]).unwrap().stdout).unwrap().contains("./large"));
}
