//! The kernel's command line, wherever the image's boot loader reads it. Needs `kernel-args`.
//!
//! Formats: `/etc/default/grub` (grub-mkconfig), `/etc/kernel/cmdline` (kernel-install(8)), Boot Loader Specification entries,
//! `/etc/update-extlinux.conf` and extlinux.conf.

use camino::{Utf8Path, Utf8PathBuf};
use rhai::Array;
use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::files;
use crate::target::Attributes;

const GRUB: &str = "/etc/default/grub";

/// A change of a list of arguments.
#[derive(Clone, Copy)]
enum Change<'a> {
    Add(&'a [String]),
    Remove(&'a [String]),
}

/// The list with the change made. An argument without `=` removes that name with any value.
fn changed(line: &str, change: Change<'_>) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    match change {
        Change::Add(arguments) => {
            for argument in arguments {
                if !words.contains(&argument.as_str()) {
                    words.push(argument);
                }
            }
        }
        Change::Remove(arguments) => {
            let goes = |word: &&str| {
                arguments.iter().any(|argument| *word == argument || word.split('=').next() == Some(argument.as_str()))
            };
            words.retain(|word| !goes(word));
        }
    }
    words.join(" ")
}

/// The text with the value of a shell variable changed: `NAME="…"`. Without the variable, an addition adds a line.
fn shell_variable(text: &str, name: &str, change: Change<'_>) -> String {
    let mut found = false;
    let mut result = String::new();
    for line in text.lines() {
        match line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            Some(value) => {
                found = true;
                let value = changed(value.trim().trim_matches(['"', '\'']), change);
                result.push_str(&format!("{name}=\"{value}\"\n"));
            }
            None => {
                result.push_str(line);
                result.push('\n');
            }
        }
    }
    if let (false, Change::Add(_)) = (found, change) {
        result.push_str(&format!("{name}=\"{}\"\n", changed("", change)));
    }
    result
}

/// The text with what follows `keyword` changed in every line that begins with it.
fn keyword(text: &str, keyword: &str, change: Change<'_>) -> String {
    let lines = text.lines().map(|line| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = line.trim_start().get(..keyword.len()).filter(|word| word.eq_ignore_ascii_case(keyword));
        let rest = rest.and_then(|_| line.trim_start().get(keyword.len()..));
        match rest.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            Some(rest) => format!("{indent}{keyword} {}\n", changed(rest, change)),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// The files of the image that say what the kernel is started with, and how each is changed.
type Place = (Utf8PathBuf, fn(&str, Change<'_>) -> String);

fn places(image: &Image) -> Result<Vec<Place>, HostError> {
    let grub: fn(&str, Change<'_>) -> String = |text, change| {
        let text = shell_variable(text, "GRUB_CMDLINE_LINUX", change);
        match change {
            Change::Add(_) => text,
            Change::Remove(_) => shell_variable(&text, "GRUB_CMDLINE_LINUX_DEFAULT", change),
        }
    };
    let fixed: [Place; 4] = [
        (GRUB.into(), grub),
        ("/etc/kernel/cmdline".into(), |text, change| changed(text, change) + "\n"),
        ("/etc/update-extlinux.conf".into(), |text, change| shell_variable(text, "default_kernel_opts", change)),
        ("/boot/extlinux/extlinux.conf".into(), |text, change| keyword(text, "append", change)),
    ];
    let target = image.target();
    let mut found = Vec::new();
    for (path, edit) in fixed {
        let real = target.resolve(&path, true)?;
        if target.stat(&real)?.is_some() {
            found.push((real, edit));
        }
    }
    for folder in ["/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"] {
        let names = match target.list(Utf8Path::new(folder)) {
            Err(error) if error.code == "io.not-found" => continue,
            other => other?,
        };
        for name in names.iter().filter(|name| name.ends_with(".conf")) {
            let real = target.resolve(&Utf8Path::new(folder).join(name), true)?;
            found.push((real, |text, change| keyword(text, "options", change)));
        }
    }
    Ok(found)
}

fn apply(ctx: &NativeCallContext<'_>, image: &Image, arguments: Array, add: bool) -> Result<(), HostError> {
    let word = |value: Dynamic| {
        let text = value.into_string().unwrap_or_default();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\`$".contains(c)) {
            return Err(HostError::usage("argument", format!("{text:?} is no argument of a kernel"))
                .help("write a list of arguments: `[\"console=ttyS0\", \"quiet\"]`"));
        }
        Ok(text)
    };
    let arguments: Vec<String> = arguments.into_iter().map(word).collect::<Result<_, _>>()?;
    image.need(ctx, &Permission::KernelArgs)?;
    image.record(ctx, vec![arguments.clone().into()])?;
    let change = if add { Change::Add(&arguments) } else { Change::Remove(&arguments) };
    let places = places(image)?;
    for (path, edit) in &places {
        files::change(image, path, |text| edit(text, change))?;
    }
    if places.is_empty() && add && !arguments.is_empty() {
        // What the image's boot loader will read once it is there.
        let text = shell_variable("", "GRUB_CMDLINE_LINUX", change);
        image.target().write(Utf8Path::new(GRUB), text.as_bytes(), Attributes::default())?;
    }
    Ok(())
}

/// The kernel's command line.
#[export_module]
pub mod verbs {
    /// Adds arguments to the kernel's command line, each once. To be called before the boot loader is installed, in
    /// `finalise` or earlier.
    #[rhai_fn(return_raw)]
    pub fn add_kernel_args(ctx: NativeCallContext<'_>, image: &mut Image, arguments: Array) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(apply(&ctx, image, arguments, true)?)
    }

    /// Removes arguments from the kernel's command line; `"console"` removes every `console=…`.
    #[rhai_fn(return_raw)]
    pub fn remove_kernel_args(ctx: NativeCallContext<'_>, image: &mut Image, arguments: Array) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(apply(&ctx, image, arguments, false)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_once_and_go_by_name_or_whole() {
        let (add, remove) = (["quiet".to_owned(), "a=1".into()], ["console".to_owned(), "a=1".into()]);
        let text = "X=1\nGRUB_CMDLINE_LINUX='quiet console=tty0 console=ttyS0'\n";
        let added = shell_variable(text, "GRUB_CMDLINE_LINUX", Change::Add(&add));
        assert_eq!(added, "X=1\nGRUB_CMDLINE_LINUX=\"quiet console=tty0 console=ttyS0 a=1\"\n");
        assert_eq!(shell_variable(&added, "GRUB_CMDLINE_LINUX", Change::Add(&add)), added);
        assert_eq!(
            shell_variable(&added, "GRUB_CMDLINE_LINUX", Change::Remove(&remove)),
            "X=1\nGRUB_CMDLINE_LINUX=\"quiet\"\n"
        );
        assert_eq!(shell_variable("", "A", Change::Remove(&remove)), "");
        assert_eq!(
            keyword("title x\noptions root=a ro\n", "options", Change::Add(&add)),
            "title x\noptions root=a ro quiet a=1\n"
        );
        assert_eq!(
            keyword("  APPEND ro\noptionsx a\n", "append", Change::Add(&add)),
            "  append ro quiet a=1\noptionsx a\n"
        );
    }
}
