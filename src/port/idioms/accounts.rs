//! `useradd`, `groupadd`

use super::{Call, has, run, value};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::step::{Step, verb};
use crate::port::value::{Base, Value, quoted};

/// `useradd`: with `-m` or `-M` a verb; without, whether there is a home depends on the image's own settings, which its tool
/// knows.
///
/// # Errors
/// An option that a draft cannot express.
pub fn useradd(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let valued =
        ["-s", "-G", "-g", "-d", "-u", "-c", "--shell", "--groups", "--gid", "--home-dir", "--uid", "--comment"];
    let flags = ["-m", "-M", "-r", "--create-home", "--no-create-home", "--system"];
    let (options, operands) = call.options(&valued)?;
    let plain = options.iter().all(|(name, _)| valued.contains(&name.as_str()) || flags.contains(&name.as_str()));
    let home = has(&options, &["-m", "--create-home"]);
    let known = plain && (home || has(&options, &["-M", "--no-create-home"]));
    let [name] = operands.as_slice() else { return Err(Kept::new("`useradd` with options from a variable")) };
    if !known {
        return run::command(hook, call, None);
    }
    let mut entries = Vec::new();
    if !home {
        entries.push("create_home: false".to_owned());
    }
    if has(&options, &["-r", "--system"]) {
        entries.push("system: true".to_owned());
    }
    let texts = [
        (["-s", "--shell"], "shell"),
        (["-g", "--gid"], "group"),
        (["-d", "--home-dir"], "home"),
        (["-c", "--comment"], "comment"),
    ];
    for (names, key) in texts {
        if let Some(word) = value(&options, &names) {
            let value = hook.value(word, Use::Split)?;
            entries.push(format!("{key}: {}", value.code()));
        }
    }
    if let Some(word) = value(&options, &["-u", "--uid"]) {
        let number = word.literal().and_then(|text| text.parse::<u32>().ok());
        entries.push(format!("uid: {}", number.ok_or_else(|| Kept::new("a user's number from a variable"))?));
    }
    if let Some(word) = value(&options, &["-G", "--groups"]) {
        let groups = word.literal().ok_or_else(|| Kept::new("groups from a variable"))?;
        let groups: Vec<String> = groups.split(',').map(quoted).collect();
        entries.push(format!("groups: [{}]", groups.join(", ")));
    }
    finished(hook, "add_user", name, entries)
}

/// `groupadd`
///
/// # Errors
/// As [`useradd`].
pub fn groupadd(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (options, operands) = call.known_options(&["-r", "-f", "--system", "--force"], &["-g", "--gid"])?;
    let [name] = operands.as_slice() else { return Err(Kept::new("`groupadd` with options from a variable")) };
    let mut entries = Vec::new();
    if has(&options, &["-r", "--system"]) {
        entries.push("system: true".to_owned());
    }
    if let Some(word) = value(&options, &["-g", "--gid"]) {
        let number = word.literal().and_then(|text| text.parse::<u32>().ok());
        entries.push(format!("gid: {}", number.ok_or_else(|| Kept::new("a group's number from a variable"))?));
    }
    finished(hook, "add_group", name, entries)
}

fn finished(
    hook: &mut Hook<'_>,
    verb_name: &str,
    name: &crate::port::shell::Word,
    entries: Vec<String>,
) -> Result<Vec<Step>, Kept> {
    let name: Value = hook.value(name, Use::Split)?;
    if name.base != Base::Plain || name.pattern {
        return Err(Kept::new("an account by an unusual name"));
    }
    hook.need("users");
    let mut arguments = vec![name.code()];
    if !entries.is_empty() {
        arguments.push(format!("#{{ {} }}", entries.join(", ")));
    }
    Ok(vec![verb(verb_name, arguments)])
}
