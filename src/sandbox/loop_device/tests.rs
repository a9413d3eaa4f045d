use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, FileTypeExt};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::makedev;

use super::*;
use crate::sandbox::{host, init, isolation};

/// Runs `work` in a mount namespace of its own, unless this machine has no loop devices for us.
fn apart(work: impl FnOnce() + Send) {
    if !host::is_root() || !Utf8Path::new(CONTROL).exists() {
        writeln!(io::stderr(), "skipped: needs root and {CONTROL}").unwrap();
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            work();
        });
    });
}

fn image(folder: &tempfile::TempDir) -> Utf8PathBuf {
    let path = Utf8Path::from_path(folder.path()).unwrap().join("disk.raw");
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    path
}

fn is_block_device(node: &Utf8Path) -> bool {
    std::fs::metadata(node).is_ok_and(|facts| facts.file_type().is_block_device())
}

/// Whether a loop device of `image`, or a partition of `name`, is left on the machine.
fn left(image: &Utf8Path, name: &str) -> bool {
    let backing = |entry: &camino::Utf8DirEntry| std::fs::read_to_string(entry.path().join("loop/backing_file"));
    let mut devices = Utf8Path::new("/sys/block").read_dir_utf8().unwrap().filter_map(Result::ok);
    let attached = devices.any(|entry| backing(&entry).is_ok_and(|text| text.contains(image.as_str())));
    attached || std::fs::exists(format!("/sys/block/{name}/{name}p1")).unwrap()
}

#[test]
fn what_is_written_to_a_partition_is_in_the_file() {
    apart(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = image(&folder);
        let mut device = LoopDevice::attach(&image, 512).unwrap();
        let node = device.add_partition(1, 1 << 20, 4 << 20).unwrap();
        assert!(is_block_device(&node) && is_block_device(device.node()), "{node}");
        assert_eq!(node, format!("{}p1", device.node()));
        let partition = OpenOptions::new().write(true).open(&node).unwrap();
        partition.write_all_at(b"here", 8192).unwrap();
        drop(partition);
        let name = device.name.clone();
        device.detach().unwrap();
        let mut found = [0; 4];
        File::open(&image).unwrap().read_exact_at(&mut found, (1 << 20) + 8192).unwrap();
        assert_eq!(&found, b"here");
        assert!(!left(&image, &name));
    });
}

#[test]
fn sectors_have_the_size_asked_for() {
    apart(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut device = LoopDevice::attach(&image(&folder), 4096).unwrap();
        let size = std::fs::read_to_string(format!("/sys/block/{}/queue/logical_block_size", device.name)).unwrap();
        assert_eq!(size.trim(), "4096");
        device.add_partition(2, 1 << 20, 1 << 20).unwrap();
        let error = device.add_partition(3, 1 << 20, 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
        assert!(device.add_partition(4, 63 << 20, 2 << 20).is_err(), "beyond the end");
    });
}

#[test]
fn a_device_in_use_is_not_said_to_be_detached() {
    apart(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = image(&folder);
        let mut device = LoopDevice::attach(&image, 512).unwrap();
        let node = device.add_partition(1, 1 << 20, 4 << 20).unwrap();
        let name = device.name.clone();
        let user = File::open(&node).unwrap();
        let error = device.let_go(2).unwrap_err().to_string();
        assert!(error.contains(&format!("{node} of {image} cannot be detached")), "{error}");
        drop(user);
        // The kernel clears it with its last user; a process that another test forks has it open until it executes its program.
        let gone = (0..250).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            !left(&image, &name)
        });
        assert!(gone);
    });
}

#[test]
fn a_dev_without_nodes_gets_them_and_the_hosts_does_not() {
    apart(|| {
        let folder = tempfile::tempdir().unwrap();
        let none = None::<&str>;
        let old = Utf8Path::from_path(folder.path()).unwrap().join("dev");
        std::fs::create_dir(&old).unwrap();
        mount(Some("tmpfs"), old.as_std_path(), Some("tmpfs"), MsFlags::empty(), none).unwrap();
        for (name, number) in [("loop-control", makedev(10, 237)), ("null", makedev(1, 3))] {
            let kind = nix::sys::stat::SFlag::S_IFCHR;
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
            nix::sys::stat::mknod(old.join(name).as_std_path(), kind, mode, number).unwrap();
        }
        std::fs::create_dir(old.join("pts")).unwrap();
        mount(Some(old.as_std_path()), "/dev", none, MsFlags::MS_BIND, none).unwrap();
        let mut device = LoopDevice::attach(&image(&folder), 512).unwrap();
        let node = device.add_partition(1, 1 << 20, 4 << 20).unwrap();
        File::open(&node).unwrap();
        File::open("/dev/null").unwrap();
        assert!(Utf8Path::new("/dev/pts").is_dir());
        assert!(!old.join(node.file_name().unwrap()).exists(), "{node} is in the old /dev");
        device.detach().unwrap();
    });
}

/// Not a test: the builder that the next one kills.
#[test]
#[ignore = "run by the test of a killed builder"]
fn holds_a_mounted_partition() {
    if nix::unistd::getpid().as_raw() != 1 {
        return;
    }
    init::become_builder().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = image(&folder);
    let mut device = LoopDevice::attach(&image, 512).unwrap();
    let node = device.add_partition(1, 1 << 20, 32 << 20).unwrap();
    let quiet = crate::event::Events::none();
    crate::sandbox::command::Command::new(["mke2fs", "-q", node.as_str()]).check(&quiet).unwrap();
    let at = folder.path().join("mnt");
    std::fs::create_dir(&at).unwrap();
    mount(Some(node.as_std_path()), &at, Some("ext2"), MsFlags::empty(), None::<&str>).unwrap();
    std::fs::write(at.join("file"), "text").unwrap();
    writeln!(io::stdout(), "holding {image} {}", device.name).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_killed_builder_leaves_no_device_no_partition_and_no_mount() {
    apart(|| {
        let name = "sandbox::loop_device::tests::holds_a_mounted_partition";
        let words = ["--exact", name, "--ignored", "--nocapture"];
        let (mut builder, pipes) = isolation::start("/proc/self/exe", &words, &[]).unwrap();
        let mut lines = BufReader::new(pipes.events).lines().map(Result::unwrap);
        let said = lines.find(|line| line.contains("holding ")).unwrap();
        let mut words = said.split("holding ").nth(1).unwrap().split(' ');
        let (image, device) = (Utf8PathBuf::from(words.next().unwrap()), words.next().unwrap().to_owned());
        assert!(left(&image, &device));
        builder.kill();
        builder.wait().unwrap();
        // Mounts end in the background.
        for _ in 0..PATIENCE {
            if !left(&image, &device) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let rest = left(&image, &device);
        std::fs::remove_dir_all(image.parent().unwrap()).unwrap();
        assert!(!rest, "{device} still shows {image}");
    });
}
