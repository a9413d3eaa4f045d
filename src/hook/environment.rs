//! The variables of a hook: what the core exports, then what `environment.d` makes of it.
//!
//! In: the plan's variables, the place and the phase. Out: [`Environment`]: exact variables, working folder, umask and limits for the
//! hooks of the phase. `environment.d` is evaluated by a real bash, once a phase and place, as under DIB. Not here: running hooks.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::error::tail;
use super::inherited::{Inherited, TELL};
use super::limits::Limits;
use super::{HookError, Site, seen_hooks};
use crate::event::Events;
use crate::plan::{Phase, Place};
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::{Command, PATH};

/// What the hooks of a phase start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// All variables.
    pub variables: BTreeMap<String, String>,
    /// The working folder.
    pub directory: Utf8PathBuf,
    /// The umask.
    pub umask: u32,
    /// What else a child of the shell that read `environment.d` inherits.
    pub inherited: Inherited,
}

impl Environment {
    /// Nothing but `variables`, in `directory`.
    pub fn plain(variables: BTreeMap<String, String>, directory: Utf8PathBuf) -> Self {
        Self { variables, directory, umask: 0o022, inherited: Inherited::default() }
    }

    /// Bash with `script` and its arguments, as a child of the shell that read `environment.d`.
    pub fn bash(&self, script: &str, arguments: &[&str]) -> Command {
        let script = self.inherited.words() + script;
        let words = ["/bin/bash", "-c", script.as_str()].into_iter().chain(arguments.iter().copied());
        Command::new(words).environment(self.variables.clone()).directory(&self.directory).umask(self.umask)
    }
}

/// What the core exports to hooks of `phase` in `place`, before `environment.d`. `devices` are variables that come with the disk.
pub fn core(
    site: &Site<'_>,
    phase: Phase,
    place: Place,
    devices: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables = site.plan.environment.clone();
    variables.extend(devices.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut set = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
    };
    set("TMP_BUILD_DIR", site.build.as_str());
    set("TMP_IMAGE_DIR", site.images.as_str());
    set("TMP_HOOKS_PATH", site.hooks().as_str());
    set("TMP_MOUNT_PATH", site.tree().as_str());
    set("OUT_IMAGE_PATH", "");
    set("_LIB", site.library.as_str());
    set("KILN", site.program.as_str());
    set("DIB_BLOCK_DEVICE_PARAMS_YAML", site.build.join("block-device/params.yaml").as_str());
    if place == Place::Host && matches!(phase, Phase::Root | Phase::Cleanup) {
        set("TARGET_ROOT", site.tree().as_str());
    }
    variables.entry("DIB_PYTHON_EXEC".to_owned()).or_insert_with(|| site.library.join("python/python").into_string());
    match place {
        Place::Host => {
            // Last: stands in for tools that the host may lack, `sudo` above all.
            let given = variables.get("PATH").filter(|path| !path.is_empty()).map_or(PATH, String::as_str);
            let path = format!("{given}:{}", site.library.join("bin"));
            variables.insert("PATH".to_owned(), path);
        }
        Place::Image => {
            for name in ["TMPDIR", "VIRTUAL_ENV"] {
                variables.remove(name);
            }
            variables.insert("HOME".to_owned(), "/root".to_owned());
            variables.insert("PATH".to_owned(), PATH.to_owned());
        }
    }
    variables
}

/// Evaluates `environment.d` within `limits`. What the hooks of a phase see is in the result; `chroot` is where they run when that
/// is the image.
///
/// # Errors
/// A file of `environment.d` fails: its status is the program's, as under DIB.
pub fn evaluate(
    site: &Site<'_>,
    phase: Phase,
    chroot: Option<&Chroot>,
    devices: &BTreeMap<String, String>,
    limits: &Limits,
) -> Result<Environment, HookError> {
    let place = if chroot.is_some() { Place::Image } else { Place::Host };
    let variables = core(site, phase, place, devices);
    let directory = if chroot.is_some() { Utf8PathBuf::from("/") } else { site.plan.directory.clone() };
    let files = files(&site.hooks())?;
    if files.is_empty() {
        return Ok(Environment::plain(variables, directory));
    }
    // By way of the phase's folder, as DIB's transcript has it; a phase of stages only has no folder.
    let way = if site.hooks().join(phase.directory()).is_dir() { phase.directory() + "/.." } else { String::new() };
    let seen = seen_hooks(site, place).join(way).join("environment.d");
    let files: Vec<String> = files.iter().map(|name| seen.join(name).into_string()).collect();
    let start = Environment::plain(variables, directory);
    read(&files, start, chroot, &format!("the phase {phase}"), limits, &site.events)
}

/// What `files` make of `start`, read by bash one after another; `of` says in an error whose they are.
///
/// # Errors
/// A file fails, or bash cannot run.
pub fn read(
    files: &[String],
    start: Environment,
    chroot: Option<&Chroot>,
    of: &str,
    limits: &Limits,
    events: &Events,
) -> Result<Environment, HookError> {
    let script = EVALUATE.replace("TELL", TELL);
    let words: Vec<&str> = ["dib-run-parts"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let mut command = start.bash(&script, &words).quiet();
    if let Some(chroot) = chroot {
        command = command.inside(chroot);
    }
    let output = limits.on(command).run(events)?;
    let (said, dumped) = split(&output.stdout);
    for line in String::from_utf8_lossy(said).lines() {
        events.output(line);
    }
    let of = of.to_owned();
    if output.status != 0 {
        return Err(HookError::Environment { of, status: output.status, tail: tail(&output.stderr) });
    }
    parse(dumped).ok_or_else(|| {
        // bash ended with status 0 before it came to the end: a file said `exit 0`.
        let text = "a file of it ended the shell with `exit`; write `return` instead".to_owned();
        HookError::Environment { of, status: 1, tail: vec![text] }
    })
}

/// Sources its arguments as DIB does, then tells folder, umask, what else is inherited, and variables.
const EVALUATE: &str = r#"set -u -e -o pipefail
_kiln_before=$(TELL)
for _kiln_file in "$@"; do
    echo "dib-run-parts Sourcing environment file $_kiln_file" >&2
    set -x
    source "$_kiln_file"
    { set +x; } 2>/dev/null
done
unset _kiln_file
printf '\0kiln-environment\0%s\0%s\0%s\0%s\0' "$PWD" "$(umask)" "$_kiln_before" "$(TELL)"
exec cat /proc/self/environ"#;

const MARK: &[u8] = b"\0kiln-environment\0";

/// What the files printed, and what the last line told.
fn split(output: &[u8]) -> (&[u8], &[u8]) {
    let at = output.windows(MARK.len()).rposition(|window| window == MARK);
    at.map_or((output, &[]), |at| (&output[..at], &output[at + MARK.len()..]))
}

fn parse(dumped: &[u8]) -> Option<Environment> {
    let mut parts = dumped.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    let directory = parts.next().filter(|text| text.starts_with('/'))?.into();
    let umask = u32::from_str_radix(&parts.next()?, 8).ok()?;
    let inherited = Inherited::between(&parts.next()?, &parts.next()?);
    let variables =
        parts.filter_map(|part| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    // What belongs to the shell that read the files is no part of what they say.
    let variables = variables.filter(|(name, _)| name != "_" && name != "SHLVL");
    Some(Environment { variables: variables.collect(), directory, umask, inherited })
}

/// The files of `environment.d`, in the order in which they are read: by their bytes, whatever their numbers.
fn files(hooks: &Utf8Path) -> Result<Vec<String>, HookError> {
    let folder = hooks.join("environment.d");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let names = Regex::new(r"^[0-9A-Za-z_.-]+$")
        .map_err(|source| HookError::Names { text: String::new(), source: Box::new(source) })?;
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().map_err(HookError::file("read the folder", &folder))? {
        let entry = entry.map_err(HookError::file("read the folder", &folder))?;
        if entry.path().is_file() && names.is_match(entry.file_name()) {
            files.push(entry.file_name().to_owned());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plan::ShellPlan;

    fn evaluated(
        files: &[(&str, &str)],
        given: &[(&str, &str)],
    ) -> (tempfile::TempDir, Result<Environment, HookError>) {
        let temp = tempfile::tempdir().unwrap();
        let build = Utf8Path::from_path(temp.path()).unwrap().canonicalize_utf8().unwrap();
        fs::create_dir_all(build.join("hooks/environment.d")).unwrap();
        for (name, text) in files {
            fs::write(build.join("hooks/environment.d").join(name), text).unwrap();
        }
        let environment = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let plan = ShellPlan { environment, directory: "/".into(), ..ShellPlan::default() };
        let site = Site {
            plan: &plan,
            images: build.clone(),
            library: "/lib/kiln".into(),
            program: "/bin/kiln".into(),
            events: Events::none(),
            build,
        };
        let result = evaluate(&site, Phase::Root, None, &BTreeMap::new(), &Limits::default());
        (temp, result)
    }

    #[test]
    fn files_are_read_by_a_real_bash_in_the_order_of_their_bytes() {
        let files = [
            ("100-a", "export ORDER=100"),
            ("20-b.bash", "export ORDER=$ORDER,20; declare -a list=(x y); export SECOND=${list[1]}; return 0; exit 9"),
            (
                "3-c",
                "export ORDER=$ORDER,3; NOT_EXPORTED=1; cd /usr; umask 077; echo printed; f() { echo f; }; export -f f",
            ),
            ("4-bad name", "exit 5"),
        ];
        let (_temp, environment) = evaluated(&files, &[("GIVEN", "line one\nline two")]);
        let environment = environment.unwrap();
        let value = |name: &str| environment.variables.get(name).map(String::as_str);
        assert_eq!(value("ORDER"), Some("100,20,3"));
        assert_eq!(
            (value("SECOND"), value("NOT_EXPORTED"), value("GIVEN")),
            (Some("y"), None, Some("line one\nline two"))
        );
        assert_eq!(value("BASH_FUNC_f%%"), Some("() {  echo f\n}"));
        assert_eq!((environment.directory.as_str(), environment.umask), ("/usr", 0o077));
    }

    #[test]
    fn a_file_that_fails_gives_its_status() {
        let status = |text: &str| evaluated(&[("10-x", text)], &[]).1.unwrap_err().exit_status();
        assert_eq!((status("exit 7"), status("echo $NOT_SET"), status("false | true")), (7, 1, 1));
        let early = evaluated(&[("10-x", "exit 0")], &[]).1.unwrap_err().to_string();
        assert!(early.contains("write `return` instead"), "{early}");
    }

    #[test]
    fn the_core_tells_each_place_what_it_needs() {
        let plan = ShellPlan {
            environment: [("PATH", "/opt/bin:/usr/sbin"), ("HOME", "/home/me"), ("TMPDIR", "/x"), ("A", "b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..ShellPlan::default()
        };
        let site = Site {
            plan: &plan,
            build: "/s/build".into(),
            images: "/s/w".into(),
            library: "/s/lib".into(),
            program: "/bin/kiln".into(),
            events: Events::none(),
        };
        let none = BTreeMap::new();
        let host = core(&site, Phase::Root, Place::Host, &none);
        assert_eq!(host["PATH"], "/opt/bin:/usr/sbin:/s/lib/bin");
        assert_eq!((host["TARGET_ROOT"].as_str(), host["TMP_MOUNT_PATH"].as_str()), ("/s/build/mnt", "/s/build/mnt"));
        assert_eq!((host["TMPDIR"].as_str(), host["HOME"].as_str(), host["A"].as_str()), ("/x", "/home/me", "b"));
        assert!(!core(&site, Phase::PostRoot, Place::Host, &none).contains_key("TARGET_ROOT"));
        let image = core(&site, Phase::Install, Place::Image, &none);
        assert_eq!((image["HOME"].as_str(), image["PATH"].as_str(), image["A"].as_str()), ("/root", PATH, "b"));
        assert!(!image.contains_key("TMPDIR") && !image.contains_key("TARGET_ROOT"));
        let devices = [("IMAGE_BLOCK_DEVICE".to_owned(), "/dev/loop7".to_owned())].into();
        assert_eq!(core(&site, Phase::Finalise, Place::Image, &devices)["IMAGE_BLOCK_DEVICE"], "/dev/loop7");
    }
}
