//! What a command inside the image sees: its own mounts and processes, no network unless granted.
//!
//! In: the root tree, binds, a wish for the network. Out: a `Setup` for the forked child. The mounts live in the command's own
//! mount namespace and end with it; the kernel's settings are shown, but cannot be changed. This keeps honest commands from
//! touching the host by accident; a hostile one has root's capabilities. Not here: entering it (`setup`), starting (`command`).

use std::ffi::CString;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::setup::{Setup, Step};

/// A root tree to run commands in.
#[derive(Clone, Debug)]
pub struct Chroot {
    root: Utf8PathBuf,
    binds: Vec<Bind>,
    devices: Vec<Utf8PathBuf>,
    network: Network,
}

/// What a command reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Network {
    #[default]
    None,
    /// The host's, with the image's own name servers.
    Plain,
    /// The host's, with the host's name servers shown over the image's.
    WithNameServers,
}

/// A host path made visible inside.
#[derive(Clone, Debug)]
struct Bind {
    from: Utf8PathBuf,
    inside: Utf8PathBuf,
    read_only: bool,
}

impl Chroot {
    /// The tree at `root`: no network, no binds.
    pub fn new(root: &Utf8Path) -> Self {
        Self { root: root.to_owned(), binds: Vec::new(), devices: Vec::new(), network: Network::None }
    }

    /// The host path of the tree.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The same tree with the host's network and name servers.
    pub fn with_network(mut self) -> Self {
        self.network = Network::WithNameServers;
        self
    }

    /// The same tree with the host's network; name servers are what the image says.
    pub fn with_plain_network(mut self) -> Self {
        self.network = Network::Plain;
        self
    }

    /// The same tree with this device of the host's `/dev`.
    pub fn with_device(mut self, device: &Utf8Path) -> Self {
        self.devices.push(device.to_owned());
        self
    }

    /// The same tree with the host's `from` (a file or a folder) at `inside`. What is mounted over must exist, but for a folder
    /// right below `/dev`, which is made.
    pub fn with_bind(mut self, from: &Utf8Path, inside: &Utf8Path, read_only: bool) -> Self {
        self.binds.push(Bind { from: from.to_owned(), inside: inside.to_owned(), read_only });
        self
    }

    /// Prepares everything that the child may not allocate for.
    pub(super) fn setup(&self) -> io::Result<Setup> {
        let mut steps = Vec::new();
        let inside = |path: &str| c_string(&format!("{}/{}", self.root, path.trim_start_matches('/')));
        steps.push(Step::mount(None, c"/".to_owned(), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE));
        let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        steps.push(Step::mount(Some(c"proc"), inside("proc")?, Some(c"proc"), hidden | MsFlags::MS_NODEV));
        let read_only = hidden | MsFlags::MS_NODEV | MsFlags::MS_RDONLY;
        steps.push(Step::mount(Some(c"sysfs"), inside("sys")?, Some(c"sysfs"), read_only));
        steps.push(Step::mount(Some(c"tmpfs"), inside("dev")?, Some(c"tmpfs"), hidden));
        for node in ["null", "zero", "full", "random", "urandom", "tty"] {
            steps.push(Step::File(inside(&format!("dev/{node}"))?, Vec::new()));
            let from = c_string(&format!("/dev/{node}"))?;
            steps.push(Step::mount(Some(&from), inside(&format!("dev/{node}"))?, None, MsFlags::MS_BIND));
        }
        for device in &self.devices {
            let at = inside(device.as_str())?;
            let folder = device.parent().filter(|folder| *folder != "/dev");
            steps.extend(folder.map(|folder| inside(folder.as_str())).transpose()?.map(Step::Directory));
            steps.push(Step::File(at.clone(), Vec::new()));
            steps.push(Step::mount(Some(&c_string(device.as_str())?), at, None, MsFlags::MS_BIND));
        }
        for directory in ["dev/pts", "dev/shm"] {
            steps.push(Step::Directory(inside(directory)?));
        }
        let pts = Step::mount(Some(c"devpts"), inside("dev/pts")?, Some(c"devpts"), hidden);
        steps.push(pts.with_data(c"newinstance,ptmxmode=0666,mode=0620"));
        steps.push(Step::mount(Some(c"tmpfs"), inside("dev/shm")?, Some(c"tmpfs"), hidden | MsFlags::MS_NODEV));
        for (link, to) in [
            ("ptmx", c"pts/ptmx"),
            ("fd", c"/proc/self/fd"),
            ("stdin", c"/proc/self/fd/0"),
            ("stdout", c"/proc/self/fd/1"),
            ("stderr", c"/proc/self/fd/2"),
        ] {
            steps.push(Step::Symlink(to.to_owned(), inside(&format!("dev/{link}"))?));
        }
        // Without these a `sysctl --system` in a package's script would change the host.
        for settings in ["proc/sys", "proc/bus", "proc/fs", "proc/irq"] {
            let at = inside(settings)?;
            steps.push(Step::mount(Some(&at), at.clone(), None, MsFlags::MS_BIND).optional());
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | read_only;
            steps.push(Step::mount(None, at, None, flags).optional());
        }
        let null = inside("dev/null")?;
        steps.push(Step::mount(Some(&null), inside("proc/sysrq-trigger")?, None, MsFlags::MS_BIND).optional());
        for bind in &self.binds {
            let (from, at) = (c_string(bind.from.as_str())?, inside(bind.inside.as_str())?);
            if bind.inside.parent().is_some_and(|folder| folder == "/dev") {
                steps.push(Step::Directory(at.clone()));
            }
            steps.push(Step::mount(Some(&from), at.clone(), None, MsFlags::MS_BIND));
            if bind.read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                steps.push(Step::mount(None, at, None, flags));
            }
        }
        let mut setup = Setup::host();
        setup.namespaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
        match self.network {
            Network::None => setup.namespaces |= CloneFlags::CLONE_NEWNET,
            Network::Plain => {}
            Network::WithNameServers => {
                let (more, placeholder) = self.name_servers()?;
                steps.extend(more);
                setup.placeholder = placeholder;
            }
        }
        setup.steps = steps;
        setup.root = Some(c_string(self.root.as_str())?);
        Ok(setup)
    }

    /// Shows a copy of the host's `/etc/resolv.conf` at the image's: a command may write to it, and neither host nor image
    /// notice. An image without the file gets an empty one to mount over, which is returned too.
    fn name_servers(&self) -> io::Result<(Vec<Step>, Option<Utf8PathBuf>)> {
        let image = self.root.join("etc/resolv.conf");
        let none = Ok((Vec::new(), None));
        let Ok(servers) = std::fs::read("/etc/resolv.conf") else { return none };
        if let Ok(to) = image.read_link_utf8() {
            let to = normal(&Utf8Path::new("/etc").join(to));
            return match to.strip_prefix("/run") {
                Ok(below_run) => Ok((self.below_run(below_run, servers)?, None)),
                Err(_) => none,
            };
        }
        let made = match std::fs::File::create_new(&image) {
            Ok(_) => Some(image.clone()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return none,
            Err(error) => return Err(error),
        };
        // The copy lies on the command's own /dev; its name there goes, the mount stays.
        let copy = c_string(self.root.join("dev/.resolv.conf").as_str())?;
        let steps = vec![
            Step::File(copy.clone(), servers),
            Step::mount(Some(&copy), c_string(image.as_str())?, None, MsFlags::MS_BIND),
            Step::Unlink(copy),
        ];
        Ok((steps, made))
    }

    /// The name servers where a link (systemd-resolved's) leads: `/run` has nothing of the kind in an image, so a tmpfs there
    /// holds the file for this command.
    fn below_run(&self, below_run: &Utf8Path, servers: Vec<u8>) -> io::Result<Vec<Step>> {
        let run = self.root.join("run");
        let file = run.join(below_run);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let mut steps = vec![Step::mount(Some(c"tmpfs"), c_string(run.as_str())?, Some(c"tmpfs"), flags)];
        let mut parents: Vec<&Utf8Path> =
            file.ancestors().skip(1).take_while(|parent| *parent != run.as_path()).collect();
        parents.reverse();
        for parent in parents {
            steps.push(Step::Directory(c_string(parent.as_str())?));
        }
        steps.push(Step::File(c_string(file.as_str())?, servers));
        Ok(steps)
    }
}

fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::from("/");
    for part in path.components() {
        match part {
            camino::Utf8Component::ParentDir => {
                normal.pop();
            }
            camino::Utf8Component::Normal(name) => normal.push(name),
            _ => {}
        }
    }
    normal
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("`{text:?}` holds a NUL byte")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    /// A tree that borrows the host's `/usr`; nothing when the test may not make one.
    fn tree() -> Option<(tempfile::TempDir, Chroot)> {
        if !nix::unistd::geteuid().is_root() || !Utf8Path::new("/bin").is_symlink() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().to_owned();
        for name in ["usr", "proc", "sys", "dev", "etc", "run", "tmp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        let chroot = Chroot::new(&root).with_bind(Utf8Path::new("/usr"), Utf8Path::new("/usr"), true);
        Some((folder, chroot))
    }

    fn shell(chroot: &Chroot, script: &str) -> (i32, String) {
        let output = Command::new(["/bin/sh", "-c", script]).inside(chroot).run(&Events::none()).unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&said).into_owned())
    }

    #[test]
    fn a_command_writes_its_own_copy_of_the_name_servers() {
        let Some((_folder, chroot)) = tree() else { return };
        let chroot = chroot.with_network();
        let before = fs::read("/etc/resolv.conf").unwrap();
        // Appended, so that a failing test does no harm: a line of comment.
        let script =
            "cmp /etc/resolv.conf /etc/host && echo '# kiln test' >> /etc/resolv.conf && tail -n 1 /etc/resolv.conf";
        fs::write(chroot.root().join("etc/host"), &before).unwrap();
        assert_eq!(shell(&chroot, script), (0, "# kiln test\n".to_owned()));
        assert_eq!(fs::read("/etc/resolv.conf").unwrap(), before);
        assert!(!chroot.root().join("etc/resolv.conf").exists(), "an empty file was left in the image");

        fs::write(chroot.root().join("etc/resolv.conf"), "").unwrap();
        assert_eq!(shell(&chroot, script).0, 0);
        assert_eq!(fs::read(chroot.root().join("etc/resolv.conf")).unwrap(), b"", "the image's own file must stay");
        assert!(!chroot.root().join("dev/.resolv.conf").exists());
    }

    #[test]
    fn name_servers_are_found_behind_a_link_into_run() {
        let Some((_folder, chroot)) = tree() else { return };
        let chroot = chroot.with_network();
        let link = chroot.root().join("etc/resolv.conf");
        std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", &link).unwrap();
        fs::write(chroot.root().join("etc/host"), fs::read("/etc/resolv.conf").unwrap()).unwrap();
        let script = "cmp /etc/resolv.conf /etc/host && echo '# kiln test' >> /etc/resolv.conf";
        assert_eq!(shell(&chroot, script), (0, String::new()));
        assert_eq!(fs::read_dir(chroot.root().join("run")).unwrap().count(), 0);
    }

    #[test]
    fn kernel_settings_can_be_read_but_not_written() {
        let Some((_folder, chroot)) = tree() else { return };
        let path = "/proc/sys/kernel/printk_ratelimit";
        let value = fs::read_to_string(path).unwrap();
        assert_eq!(shell(&chroot, &format!("cat {path}")), (0, value));
        // The value it has anyway.
        assert_ne!(shell(&chroot, &format!("v=$(cat {path}); echo $v > {path}")).0, 0);
        if Utf8Path::new("/proc/sysrq-trigger").exists() {
            assert_eq!(shell(&chroot, "test /proc/sysrq-trigger -ef /dev/null").0, 0);
        }
    }

    #[test]
    fn a_command_sees_only_the_processes_it_started() {
        let Some((_folder, chroot)) = tree() else { return };
        assert_eq!(shell(&chroot, "echo $$; ls -d /proc/[0-9]* | wc -l"), (0, "2\n4\n".to_owned()));
    }

    #[test]
    fn the_status_and_the_signal_of_a_command_come_through() {
        let Some((_folder, chroot)) = tree() else { return };
        assert_eq!(shell(&chroot, "exit 3").0, 3);
        assert_eq!(shell(&chroot, "kill -TERM $$").0, 128 + 15);
        assert_eq!(shell(&chroot, "trap '' TERM; kill 0; exit 4").0, 4);
        let error = Command::new(["/no/such"]).inside(&chroot).run(&Events::none()).unwrap_err();
        assert!(error.to_string().contains("cannot start `/no/such`"), "{error}");
    }

    #[test]
    fn last_lines_of_a_helper_that_outlives_the_command_arrive() {
        let Some((_folder, chroot)) = tree() else { return };
        assert_eq!(shell(&chroot, "(sleep 0.05; echo late) & echo early"), (0, "early\nlate\n".to_owned()));
    }

    #[test]
    fn a_daemon_in_a_session_of_its_own_ends_with_the_command() {
        let Some((_folder, chroot)) = tree() else { return };
        let begun = std::time::Instant::now();
        assert_eq!(shell(&chroot, "setsid sleep 54.321 & sleep 0.1; echo done"), (0, "done\n".to_owned()));
        assert!(begun.elapsed().as_secs() < 5);
        let alive = Command::new(["pgrep", "-f", "sleep 54.321"]).run(&Events::none()).unwrap();
        assert_eq!((alive.status, alive.stdout), (1, Vec::new()));
    }
}
