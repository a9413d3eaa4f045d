//! `ramdisk-image-create` with upstream's elements, unmodified: kernel and initramfs, which boots to its init.

mod dracut;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Sandbox, a_core, approve, ending, one_build, shared_store, stdout, upstream_elements};

/// Where this machine's own package lists say that security updates are: upstream's elements have another place, which not every
/// network reaches.
fn security_mirror() -> Option<String> {
    let output = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).output().ok()?;
    let text = stdout(&output);
    let line = text.lines().find(|line| line.ends_with("-security"))?;
    line.split(' ').next().map(|address| address.trim_end_matches('/').to_owned())
}

/// Boots a kernel with its initramfs until the guest reboots; what its console said.
fn console(kernel: &Path, initramfs: &Path) -> String {
    let (emulator, machine, terminal) = match std::env::consts::ARCH {
        "aarch64" => ("qemu-system-aarch64", "virt,accel=tcg", "ttyAMA0"),
        _ => ("qemu-system-x86_64", "pc,accel=tcg", "ttyS0"),
    };
    let log = kernel.with_extension("console");
    let mut guest = Command::new(emulator)
        .args(["-machine", machine, "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot", "-nic", "none"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &format!("console={terminal} panic=1")])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while guest.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(600) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let _ = guest.kill();
    let _ = guest.wait();
    String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned()
}

/// Builds a RAM disk of debian-minimal with `words` and `more` variables: kernel and initramfs.
fn create(sandbox: &Sandbox, words: &[&str], elements_path: &str, more: &[(&str, &str)]) -> [PathBuf; 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ramdisk-image-create"));
    command.args(["-o", "rescue", "debian-minimal"]).args(words).env_clear().current_dir(sandbox.path());
    for name in ["PATH", "http_proxy", "https_proxy", "no_proxy"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.envs(security_mirror().map(|mirror| ("DIB_DEBIAN_SECURITY_MIRROR", mirror)));
    // The home holds the elements' own caches of packages: kept between runs, as the store is.
    command.env("HOME", shared_store().with_file_name("home")).env("KILN_STORE", shared_store());
    command.env("ELEMENTS_PATH", elements_path).env("DIB_RELEASE", "bookworm").envs(more.iter().copied());
    let output = command.output().unwrap();
    let said = stdout(&output);
    assert!(output.status.success(), "{}", ending(&output));
    let first = if words.contains(&"dracut-ramdisk") { "dracut-ramdisk" } else { "ramdisk" };
    assert!(said.contains(&format!("Building elements: {first} base debian-minimal")), "{said}");
    let made = ["rescue.kernel", "rescue.initramfs"].map(|name| sandbox.path().join(name));
    approve("gzip", &["-t", made[1].to_str().unwrap()]);
    made
}

/// Wants `lines` on the console, in their order, and no panic.
fn check(console: &str, lines: &[&str]) {
    let mut rest = console;
    for line in lines {
        let found = rest.find(line).unwrap_or_else(|| panic!("no `{line}` in the right place:\n{console}"));
        rest = &rest[found..];
    }
    assert!(!console.contains("Kernel panic"), "{console}");
}

#[test]
fn a_ramdisk_of_upstreams_elements_boots_to_its_init() {
    let sandbox = Sandbox::new();
    let turn = one_build();
    let [kernel, initramfs] = create(&sandbox, &[], upstream_elements().to_str().unwrap(), &[]);
    let mut names: Vec<String> =
        fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["rescue.d", "rescue.initramfs", "rescue.kernel"], "a RAM disk has no disk image");
    drop(turn);
    let turn = a_core();
    let console = console(&kernel, &initramfs);
    drop(turn);
    // The parts of its init in their order; after the last one it reboots.
    check(&console, &["init", "starting syslogd", "starting udevd", "load modules", "network ready", "rebooting"]);
}
