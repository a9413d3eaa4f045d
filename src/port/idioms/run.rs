//! Commands that stay commands: tools of the system, run inside the image.
//!
//! Only tools that are known: what an element brings may need variables that a draft's commands do not have.

use super::{Call, is_harmless, output};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::shell::{Command, Form, Piece, Redirect, Word};
use crate::port::step::{Step, verb};
use crate::port::value::{Base, Value};

/// Tools that do without the network.
const LOCAL: &[&str] = &[
    "adduser",
    "addgroup",
    "alternatives",
    "chgrp",
    "chmod",
    "chown",
    "chpasswd",
    "cp",
    "debconf-set-selections",
    "depmod",
    "dkms",
    "dpkg",
    "dpkg-divert",
    "dpkg-reconfigure",
    "dracut",
    "eselect",
    "etc-update",
    "fc-cache",
    "getent",
    "gpasswd",
    "groupadd",
    "groupmod",
    "grub-mkconfig",
    "grub2-mkconfig",
    "grubby",
    "hostnamectl",
    "ldconfig",
    "ln",
    "locale-gen",
    "localectl",
    "mandb",
    "mkinitrd",
    "modprobe",
    "mv",
    "passwd",
    "plymouth-set-default-theme",
    "rc-update",
    "restorecon",
    "rm",
    "rpm",
    "setcap",
    "subscription-manager",
    "sysctl",
    "systemctl",
    "systemd-machine-id-setup",
    "systemd-tmpfiles",
    "tar",
    "update-alternatives",
    "update-ca-certificates",
    "update-ca-trust",
    "update-grub",
    "update-initramfs",
    "update-locale",
    "update-rc.d",
    "useradd",
    "usermod",
    "visudo",
    "zipl",
    "fips-mode-setup",
    "touch",
    "mkdir",
    "find",
    "dpkg-query",
    "setsebool",
    "semanage",
    "authselect",
    "grub2-set-default",
    "grub-set-default",
    "grub2-editenv",
    "install",
    "migrate-pax",
    "readlink",
    "sed",
    "uname",
];

/// Tools that hooks on the host use on the image's files, and that do the same inside it.
const FROM_HOST: &[&str] = &["chmod", "chown", "cp", "find", "install", "mv"];

/// Tests and actions of `find` without a path or a command in them, and whether a value follows.
const FIND: &[(&str, bool)] = &[
    ("-delete", false),
    ("-iname", true),
    ("-maxdepth", true),
    ("-mindepth", true),
    ("-name", true),
    ("-print", false),
    ("-type", true),
];

/// Tools that fetch.
const FETCHING: &[&str] = &[
    "apt",
    "apt-get",
    "apt-key",
    "curl",
    "dnf",
    "emerge",
    "emerge-webrsync",
    "git",
    "package-cleanup",
    "pip",
    "pip2",
    "pip3",
    "virtualenv",
    "wget",
    "yum",
    "yum-config-manager",
    "zypper",
];

/// The program is one of the known tools.
pub fn is_tool(name: &str) -> bool {
    let base = name.strip_prefix("/usr/").or_else(|| name.strip_prefix('/')).unwrap_or(name);
    let base = base.strip_prefix("bin/").or_else(|| base.strip_prefix("sbin/")).unwrap_or(base);
    LOCAL.contains(&base) || FETCHING.contains(&base)
}

fn fetches(name: &str, arguments: &[Word]) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    let offline = ["clean", "autoclean", "autoremove", "remove", "purge", "modifyrepo", "config-manager"];
    if arguments.iter().filter_map(Word::literal).any(|word| offline.contains(&word.as_str())) {
        return false;
    }
    let by_address = || arguments.iter().any(|word| word.source.contains("://") || word.source.contains('$'));
    FETCHING.contains(&base) || (base == "rpm" && by_address())
}

/// The command as a step, with what it reads.
///
/// # Errors
/// It is no known tool, runs on the host, or its output goes to a file.
pub fn command(hook: &mut Hook<'_>, call: &Call<'_>, stdin: Option<Value>) -> Result<Vec<Step>, Kept> {
    let mut entries = Vec::new();
    let mut stdin = stdin;
    let mut file = None;
    for redirect in &call.command.redirects {
        match redirect {
            Redirect::Here(word) => stdin = Some(hook.value(word, Use::Whole)?),
            Redirect::Write { stream: 1, to, append } if file.is_none() && !is_harmless(redirect) => {
                file = Some((to, *append));
            }
            other if is_harmless(other) => {}
            Redirect::Other(what) => return Err(Kept::new(what.clone())),
            _ => return Err(Kept::new(format!("the output of `{}` in a file", call.name))),
        }
    }
    let arguments = inside(hook, call)?;
    if !call.command.assignments.is_empty() {
        let mut map = Vec::new();
        for assignment in &call.command.assignments {
            let value = hook.value(&assignment.value, Use::Whole)?;
            if value.base != Base::Plain {
                return Err(Kept::new("a folder of the host for a command in the image"));
            }
            map.push(format!("{}: {}", assignment.name, value.code()));
        }
        entries.push(format!("env: #{{ {} }}", map.join(", ")));
    }
    if let Some(stdin) = stdin {
        if stdin.base != Base::Plain {
            return Err(Kept::new("the name of a folder of the host, as text"));
        }
        entries.push(format!("stdin: {}", stdin.code()));
    }
    let mut all = vec![arguments];
    if !entries.is_empty() {
        all.push(format!("#{{ {} }}", entries.join(", ")));
    }
    let Some((to, append)) = file else { return Ok(vec![verb("run_in_chroot", all)]) };
    // The shell empties the file before the command could read it.
    if call.arguments.iter().any(|word| word.source == to.source) || !only_output(call) {
        return Err(Kept::new(format!("the output of `{}` in a file", call.name)));
    }
    hook.import("variables");
    let mut text = Value::default();
    text.push_code(format!("variables::printed(image.run_in_chroot({}).stdout)", all.join(", ")));
    output::write(hook, to, Use::Whole, &text, append)
}

/// Nothing but the command's own output goes where its output goes.
fn only_output(call: &Call<'_>) -> bool {
    !call.command.redirects.iter().any(|redirect| {
        matches!(redirect, Redirect::Duplicate { .. } | Redirect::Write { stream: -1, .. } | Redirect::Other(_))
    })
}

/// What the command prints, as an expression; where `$(…)` counts its status, one other than 0 stops the draft.
///
/// # Errors
/// As [`command`].
pub fn output(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<String, Kept> {
    call.unredirected()?;
    if !only_output(call) || !call.command.assignments.is_empty() {
        return Err(Kept::new(format!("the output of `{}` with its messages or variables of its own", call.name)));
    }
    // Whatever stands in its arguments is looked at by nobody.
    let checked = std::mem::take(&mut hook.checked);
    let arguments = inside(hook, call);
    hook.checked = checked;
    let options = if checked { "" } else { ", #{ check: false }" };
    Ok(format!("image.run_in_chroot({}{options}).stdout", arguments?))
}

/// What the command hands to the next one of a pipe.
///
/// # Errors
/// As [`command`].
pub fn printed(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Value, Kept> {
    let before = std::mem::replace(&mut hook.checked, hook.pipefail);
    let output = output(hook, call);
    hook.checked = before;
    hook.import("variables");
    let mut text = Value::default();
    text.push_code(format!("variables::printed({})", output?));
    Ok(text)
}

/// The command's success as a condition.
///
/// # Errors
/// As [`command`].
pub fn condition(hook: &mut Hook<'_>, command: &Command) -> Result<String, Kept> {
    let call = Call::new(command)?;
    call.unredirected()?;
    if !command.assignments.is_empty() {
        return Err(Kept::new(format!("variables set for `{}` alone", call.name)));
    }
    let changes = ["mkdir", "rm", "cp", "mv", "ln", "touch", "chmod", "chown", "echo", "cat", "sed", "install"];
    if changes.contains(&call.name.as_str()) {
        return Err(Kept::new(format!("`{}` as a condition", call.name)));
    }
    Ok(format!("image.run_in_chroot({}, #{{ check: false }}).status == 0", inside(hook, &call)?))
}

/// A tool whose arguments are paths in the image: what no verb does.
///
/// # Errors
/// As [`command`]; before the tree is there, it has no tools.
pub fn tool(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    command(hook, call, None)
}

/// An argument of one of [`FROM_HOST`] is a path; `previous` stands before it.
fn is_path(tool: &str, index: usize, previous: &str, value: &Value) -> Result<bool, Kept> {
    let option = value.prefix().starts_with('-');
    match tool {
        "chmod" | "chown" => Ok(!option && index > 0),
        "install" => Ok(!option && !["-m", "-o", "-g"].contains(&previous)),
        "find" if option => match FIND.iter().find(|(name, _)| *name == value.prefix()) {
            Some(_) => Ok(false),
            None => Err(Kept::new(format!("`find {}` on the host", value.prefix()))),
        },
        "find" => Ok(!FIND.iter().any(|(name, valued)| *valued && *name == previous)),
        _ => Ok(!option),
    }
}

/// The list of program and arguments.
fn inside(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<String, Kept> {
    let (mut name, mut program, mut arguments) = (call.name.clone(), call.program, call.arguments);
    let mut by_chroot = false;
    if name == "chroot" && !hook.in_image() {
        let Some((root, rest)) = arguments.split_first() else { return Err(Kept::new("`chroot` without a folder")) };
        let root = hook.value(root, Use::Split)?;
        if root.base != Base::Image || !root.parts.is_empty() {
            return Err(Kept::new("`chroot` to another folder than the image's"));
        }
        let Some((first, rest)) = rest.split_first() else { return Err(Kept::new("a shell in the image")) };
        name = first.literal().ok_or_else(|| Kept::new("a command named by a variable"))?;
        program = first;
        (arguments, by_chroot) = (rest, true);
    }
    if !is_tool(&name) {
        return Err(Kept::new(format!("the command `{name}`")));
    }
    let from_host = !hook.in_image() && !by_chroot;
    if from_host && (hook.phase == crate::plan::Phase::Root || !FROM_HOST.contains(&name.as_str())) {
        return Err(Kept::new(format!("`{name}` on the host")));
    }
    let program = hook.value(program, Use::Split)?;
    if program.base != Base::Plain || program.pattern {
        return Err(Kept::new(format!("a command named by `{}`", call.program.source)));
    }
    let mut words = vec![program.code()];
    let mut previous = String::new();
    let mut lists: Vec<String> = Vec::new();
    for (index, word) in arguments.iter().enumerate() {
        if word.has_pattern() {
            return Err(Kept::new(format!("a pattern of files for `{name}`")));
        }
        // Several words, or none.
        if let [Piece::Variable { name: variable, bare: true, form: Form::Plain | Form::Default(_) }] =
            word.pieces.as_slice()
            && !hook.single.contains(variable)
            && hook.locals.get(variable).is_none_or(|local| local.base == Base::Plain)
            && !from_host
        {
            let value = hook.value(word, Use::Whole)?;
            if value.base == Base::Plain
                && matches!(
                    crate::port::variable::known(variable, hook.phase),
                    crate::port::variable::Known::Environment
                )
            {
                hook.import("variables");
                lists.push(format!("[{}]", words.join(", ")));
                words.clear();
                lists.push(format!("variables::words({})", value.code()));
                continue;
            }
        }
        let value = hook.value(word, Use::Split)?;
        let value = if from_host && is_path(&name, index, &previous, &value)? {
            hook.located(value, &word.source)?
        } else {
            value
        };
        previous.clone_from(&word.source);
        if value.base != Base::Plain || value.prefix().starts_with("/tmp/in_target.d") {
            return Err(Kept::new(format!("`{}`, a folder of the host, for a command in the image", word.source)));
        }
        words.push(value.code());
    }
    hook.need("run");
    if fetches(&name, arguments) {
        hook.need("network");
    }
    if !words.is_empty() || lists.is_empty() {
        lists.push(format!("[{}]", words.join(", ")));
    }
    Ok(lists.join(" + "))
}
