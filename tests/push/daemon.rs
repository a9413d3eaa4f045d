//! `docker-registry` on this machine; ends with the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Sandbox;

pub struct Daemon {
    child: Child,
    pub port: u16,
}

impl Daemon {
    /// Starts it with `auth`, YAML, as its access control. `None` when the program is missing.
    pub fn start(sandbox: &Sandbox, auth: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = sandbox.path().join("registry");
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n{auth}\n",
            folder.display()
        );
        let file = sandbox.path().join("registry.yml");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(sandbox.path().join("registry.log")).unwrap();
        let mut command = Command::new("docker-registry");
        let Ok(mut child) = command.arg("serve").arg(file).stdout(Stdio::null()).stderr(log).spawn() else {
            eprintln!("skipped: needs docker-registry");
            return None;
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || fs::read_to_string(sandbox.path().join("registry.log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "the registry ended: {}", said());
            assert!(begun.elapsed() < Duration::from_secs(60), "the registry does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Self { child, port })
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
