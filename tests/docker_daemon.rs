//! Images in a real daemon of Docker's, which a test starts for itself: without a network, and with all its files in the test's folder.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{approve, stderr, stdout};
use crate::workshop::Workshop;

/// A daemon, ended when it is dropped.
struct Daemon {
    child: Child,
    host: String,
}

impl Daemon {
    /// Starts it. `None` where there is none to start.
    fn start(folder: &std::path::Path) -> Option<Self> {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let host = format!("unix://{}", path("docker.sock"));
        let log = fs::File::create(folder.join("docker.log")).unwrap();
        let mut command = Command::new("dockerd");
        command.args(["--data-root", &path("docker"), "--exec-root", &path("docker-run"), "-p", &path("docker.pid")]);
        command.args(["-H", &host, "--iptables=false", "--bridge=none", "--storage-driver=vfs"]);
        let Ok(mut child) = command.stdout(Stdio::null()).stderr(log).spawn() else {
            eprintln!("skipped: needs dockerd (docker.io)");
            return None;
        };
        let begun = Instant::now();
        let answers = || Command::new("docker").args(["-H", &host, "version"]).output().unwrap().status.success();
        while !answers() {
            let said = || fs::read_to_string(folder.join("docker.log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended: {}", said());
            assert!(begun.elapsed() < Duration::from_secs(120), "the daemon does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(Self { child, host })
    }

    fn docker(&self, words: &[&str]) -> String {
        approve("docker", &[&["-H", &self.host], words].concat())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It ends its own containerd when it is asked to end.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_gets_the_image_that_the_build_names_and_loads_the_archive_too() {
    // Its sockets' paths have to be short.
    let short = tempfile::tempdir().unwrap();
    let Some(daemon) = Daemon::start(short.path()) else { return };
    let workshop = Workshop::new();
    workshop.element("greeting", &[("root.d/20-greeting", "#!/bin/bash\necho baked > $TARGET_ROOT/etc/greeting\n")]);
    let words = ["-t", "docker", "-o", "web", "--docker-target", "shop/web:1", "mini", "greeting"];
    let output = workshop.dib_command("disk-image-create", &words).env("DOCKER_HOST", &daemon.host).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("docker has the image shop/web:1: sha256:"), "{}", stdout(&output));
    let greets = || daemon.docker(&["run", "--rm", "--network", "none", "shop/web:1", "/bin/cat", "/etc/greeting"]);
    assert_eq!(greets(), "baked\n");
    daemon.docker(&["rmi", "shop/web:1"]);
    let archive: PathBuf = workshop.path().join("web.docker.tar");
    assert_eq!(daemon.docker(&["load", "-i", archive.to_str().unwrap()]), "Loaded image: shop/web:1\n");
    assert_eq!(greets(), "baked\n");
}
