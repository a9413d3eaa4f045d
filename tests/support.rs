//! Runs kiln as a user does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The program under test.
pub const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// A folder of a test's own.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir_in(scratch()).unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// kiln with a store of its own and an environment without DIB's variables.
    pub fn kiln(&self, words: &[&str]) -> Command {
        let mut command = kiln(words);
        command.current_dir(self.path()).env("KILN_STORE", self.path().join("store"));
        command
    }

    /// Writes an element: pairs of file name and text below `elements/NAME`.
    pub fn element(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let elements = self.path().join("elements");
        for (file, text) in files {
            let path = elements.join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        elements
    }
}

/// kiln with an environment that has nothing of DIB's or of the developer's.
pub fn kiln(words: &[&str]) -> Command {
    let mut command = Command::new(KILN);
    command.args(words).env_clear();
    for name in ["PATH", "HOME", "http_proxy", "https_proxy", "no_proxy"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// `command` as `words` start it, in its folder and with its environment.
fn started_by(words: &[&str], command: &Command) -> Command {
    let mut other = Command::new(words[0]);
    other.args(&words[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// The same command, for a program that signals shall end also where whoever started the tests ignores them.
pub fn interruptible(command: &Command) -> Command {
    started_by(&["env", "--default-signal=INT,TERM,HUP"], command)
}

/// How much of the processors' time `command` takes.
pub fn processor_time_of(command: &Command) -> Duration {
    let output = started_by(&["bash", "-c", r#""$@" > /dev/null && times"#, "bash"], command).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // The shell's own, and its children's: `0m0.021s 0m0.008s`, of the program and of the kernel for it.
    let said = stdout(&output);
    let seconds = said.lines().nth(1).unwrap().split_whitespace().map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    Duration::from_secs_f64(seconds.sum())
}

/// A folder on the build's own file system: images are too large for some `/tmp`.
pub fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The store that the builds of all tests share, also between runs: packages are downloaded once.
pub fn shared_store() -> PathBuf {
    match std::env::var_os("KILN_TEST_STORE") {
        Some(store) => PathBuf::from(store),
        None => scratch().join("store"),
    }
}

/// A build's or a machine's turn, until it is dropped.
pub struct Turn {
    _build: Option<MutexGuard<'static, ()>>,
}

/// How many builds and machines run.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    /// Waits until a core is free: a build keeps one busy, and so does an emulated machine.
    fn wait(build: Option<MutexGuard<'static, ()>>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let running = RUNNING.lock().unwrap();
        *ENDED.wait_while(running, |running| *running >= cores).unwrap() += 1;
        Self { _build: build }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap() -= 1;
        ENDED.notify_one();
    }
}

/// Builds run one at a time: two at once would make the steps twice that they have in common.
pub fn one_build() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    Turn::wait(Some(TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())))
}

/// What shares no step with others runs beside them, as much of it as there are cores: machines, and builds that are not kiln's.
pub fn a_core() -> Turn {
    Turn::wait(None)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What an emulated machine wants of its image. While it waits at GRUB's menu it keeps a core busy; and where others keep the cores busy
/// it may take longer to find its own disks than the 90 s that systemd gives them. The other words are those of an image by default.
pub const FOR_AN_EMULATED_MACHINE: [(&str, &str); 2] = [
    ("DIB_GRUB_TIMEOUT", "1"),
    ("DIB_BOOTLOADER_DEFAULT_CMDLINE", "nofb nomodeset gfxpayload=text systemd.default_timeout_start_sec=600"),
];

/// How a program ended that should not have: the last lines of what it said. All of it is in a file, since a build says much, and whoever
/// reads what CI says sees the end of it only.
pub fn ending(output: &Output) -> String {
    const LINES: usize = 20;
    let last = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    };
    let (out, error) = (stdout(output), stderr(output));
    let whole = tempfile::Builder::new().prefix("said-").suffix(".log").tempfile_in(scratch()).unwrap();
    fs::write(whole.path(), format!("{out}\n{error}")).unwrap();
    let (_, whole) = whole.keep().unwrap();
    format!("{} (all of it: {})\n{}\n{}", output.status, whole.display(), last(&out), last(&error))
}

/// Runs a judge and wants its approval.
pub fn approve(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(output.status.success(), "{program} {words:?} does not approve ({}):\n{said}", output.status);
    said
}

/// The elements of diskimage-builder 3.43.0, unmodified: installed once from PyPI, into a folder that stays between runs.
/// `KILN_TEST_DIB` names a folder that has `diskimage_builder` already.
pub fn upstream_elements() -> PathBuf {
    static ONCE: Mutex<()> = Mutex::new(());
    let _turn = ONCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = match std::env::var_os("KILN_TEST_DIB") {
        Some(folder) => PathBuf::from(folder),
        None => scratch().join("diskimage-builder-3.43.0"),
    };
    let elements = folder.join("diskimage_builder/elements");
    if !elements.is_dir() {
        // Its dependencies are not needed: nothing of it runs but tools that want PyYAML.
        let unfinished = tempfile::tempdir_in(scratch()).unwrap();
        let to = unfinished.path().to_str().unwrap();
        let wanted = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"];
        approve("python3", &[&wanted[..], &["--target", to, "diskimage-builder==3.43.0"]].concat());
        fs::rename(unfinished.path(), &folder).unwrap();
    }
    elements
}
