//! Users and groups, by the image's own files: equal on every distribution, whatever tools the image has. Needs `users`.

use camino::{Utf8Path, Utf8PathBuf};
use rhai::Map;
use rhai::plugin::*;
use serde::Deserialize;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::account_files::{GROUP, GSHADOW, PASSWD, SHADOW, optional, shadow_line, store, stored};
use super::{home, options};
use crate::target::accounts;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UserOptions {
    uid: Option<i64>,
    group: Option<String>,
    groups: Vec<String>,
    home: Option<String>,
    create_home: Option<bool>,
    shell: Option<String>,
    comment: Option<String>,
    system: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GroupOptions {
    gid: Option<i64>,
    system: bool,
}

fn begin(ctx: &NativeCallContext<'_>, image: &Image, name: &str) -> Result<(), HostError> {
    let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    let digits = name.chars().all(|letter| letter.is_ascii_digit());
    if name.is_empty() || name.len() > 32 || name.starts_with('-') || digits || !name.chars().all(good) {
        return Err(HostError::usage("user", format!("`{name}` is no name for a user or group")));
    }
    image.need(ctx, &Permission::Users)
}

/// A text that becomes a field of a line.
fn field(what: &str, text: &str) -> Result<(), HostError> {
    if text.contains([':', '\n']) {
        return Err(HostError::usage("option", format!("the {what} {text:?} holds a colon or a line feed")));
    }
    Ok(())
}

/// The number that was asked for, or one that is free.
fn choose(image: &Image, asked: Option<i64>, system: bool) -> Result<u32, HostError> {
    if let Some(asked) = asked {
        let number = u32::try_from(asked).ok().filter(|number| *number < u32::MAX);
        return number.ok_or_else(|| HostError::usage("option", format!("{asked} is no number of a user or group")));
    }
    let (passwd, group) = (stored(image, PASSWD)?, stored(image, GROUP)?);
    accounts::free_number(&passwd, &group, system)
        .ok_or_else(|| HostError::new("users.failed", "every number of an account is taken"))
}

fn make_group(image: &Image, name: &str, gid: u32) -> Result<(), HostError> {
    let group = stored(image, GROUP)?;
    store(image, GROUP, &accounts::with_line(&group, &format!("{name}:x:{gid}:")), None)?;
    match optional(image, GSHADOW)? {
        Some(text) => store(image, GSHADOW, &accounts::with_line(&text, &format!("{name}:!::")), None),
        None => Ok(()),
    }
}

fn user(ctx: &NativeCallContext<'_>, image: &Image, name: &str, options: Map) -> Result<(), HostError> {
    let options: UserOptions = options::read(ctx.fn_name(), options)?;
    for (what, text) in [("comment", &options.comment), ("home", &options.home), ("shell", &options.shell)] {
        text.as_deref().map_or(Ok(()), |text| field(what, text))?;
    }
    begin(ctx, image, name)?;
    image.record(ctx, vec![name.into()])?;
    let passwd = stored(image, PASSWD)?;
    if accounts::entry(&passwd, name).is_some() {
        return Ok(());
    }
    // Looked up first: nothing is half done when one is missing.
    let groups = stored(image, GROUP)?;
    for group in options.group.iter().chain(&options.groups) {
        if accounts::entry(&groups, group).is_none() {
            let error = HostError::new("users.failed", format!("the image has no group `{group}` for `{name}`"));
            return Err(
                error.help("add it first with `add_group`; `std/users` knows what groups of administrators are called")
            );
        }
    }
    let uid = choose(image, options.uid, options.system)?;
    let gid = match &options.group {
        Some(group) => accounts::number(&groups, group).unwrap_or(uid),
        None => match accounts::number(&groups, name) {
            Some(gid) => gid,
            None => {
                let taken = groups.lines().any(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()));
                let gid = if taken { choose(image, None, options.system)? } else { uid };
                make_group(image, name, gid)?;
                gid
            }
        },
    };
    let home = options.home.clone().unwrap_or_else(|| format!("/home/{name}"));
    let shell = options.shell.clone().map_or_else(|| default_shell(image, options.system), Ok)?;
    let comment = options.comment.as_deref().unwrap_or_default();
    let line = format!("{name}:x:{uid}:{gid}:{comment}:{home}:{shell}");
    store(image, PASSWD, &accounts::with_line(&stored(image, PASSWD)?, &line), None)?;
    let shadow = optional(image, SHADOW)?;
    let text = accounts::with_line(shadow.as_deref().unwrap_or_default(), &shadow_line(name, "!"));
    store(image, SHADOW, &text, Some(0o640))?;
    for group in &options.groups {
        for file in [GROUP, GSHADOW] {
            let text = optional(image, file)?.and_then(|text| accounts::with_member(&text, group, name));
            text.map_or(Ok(()), |text| store(image, file, &text, None))?;
        }
    }
    if options.create_home.unwrap_or(!options.system) {
        home::make(image, Utf8Path::new(&home), uid, gid)?;
    }
    Ok(())
}

/// The shell of an account for which nobody names one.
fn default_shell(image: &Image, system: bool) -> Result<String, HostError> {
    let known = if system { ["/usr/sbin/nologin", "/sbin/nologin"] } else { ["/bin/bash", "/bin/sh"] };
    for path in known {
        let target = image.target();
        if target.stat(&target.resolve(Utf8Path::new(path), true)?)?.is_some() {
            return Ok(path.to_owned());
        }
    }
    Ok(if system { "/usr/sbin/nologin" } else { "/bin/sh" }.to_owned())
}

fn group(ctx: &NativeCallContext<'_>, image: &Image, name: &str, options: Map) -> Result<(), HostError> {
    let options: GroupOptions = options::read(ctx.fn_name(), options)?;
    begin(ctx, image, name)?;
    image.record(ctx, vec![name.into()])?;
    if accounts::entry(&stored(image, GROUP)?, name).is_some() {
        return Ok(());
    }
    make_group(image, name, choose(image, options.gid, options.system)?)
}

fn password(image: &Image, name: &str, hash: &str) -> Result<(), HostError> {
    if accounts::entry(&stored(image, PASSWD)?, name).is_none() {
        return Err(missing(name));
    }
    let shadow = optional(image, SHADOW)?.unwrap_or_default();
    let text = accounts::with_field(&shadow, name, 1, hash)
        .unwrap_or_else(|| accounts::with_line(&shadow, &shadow_line(name, hash)));
    store(image, SHADOW, &text, Some(0o640))
}

fn missing(name: &str) -> HostError {
    HostError::new("users.missing", format!("the image has no user `{name}`")).help("add it first with `add_user`")
}

fn authorize(image: &Image, name: &str, key: &str) -> Result<(), HostError> {
    let passwd = stored(image, PASSWD)?;
    let (Some(home), Some(uid)) = (accounts::home(&passwd, name), accounts::number(&passwd, name)) else {
        return Err(missing(name));
    };
    let gid = accounts::entry(&passwd, name).and_then(|line| line.split(':').nth(3)?.parse().ok()).unwrap_or(uid);
    home::authorize(image, &Utf8PathBuf::from(home), uid, gid, key)
}

/// A line of `authorized_keys`: options, a type, base64, a comment. The type must be one that OpenSSH knows.
fn is_key(line: &str) -> bool {
    const TYPES: [&str; 5] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "cert-authority"];
    let words: Vec<&str> = line.split_whitespace().collect();
    !line.contains(['\n', '\r'])
        && words
            .iter()
            .position(|word| TYPES.iter().any(|kind| word.starts_with(kind)))
            .is_some_and(|at| at + 1 < words.len())
}

/// Users.
#[export_module]
pub mod verbs {
    /// Adds a user with a group of the same name; one that exists stays as it is.
    #[rhai_fn(return_raw)]
    pub fn add_user(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(user(&ctx, image, name, Map::new())?)
    }

    /// As above, with `#{uid, group, groups, home, create_home, shell, comment, system}`.
    #[rhai_fn(name = "add_user", return_raw)]
    pub fn add_user_with(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, options: Map) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(user(&ctx, image, name, options)?)
    }

    /// Adds a group; one that exists stays as it is.
    #[rhai_fn(return_raw)]
    pub fn add_group(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(group(&ctx, image, name, Map::new())?)
    }

    /// As above, with `#{gid, system}`.
    #[rhai_fn(name = "add_group", return_raw)]
    pub fn add_group_with(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, options: Map) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(group(&ctx, image, name, options)?)
    }

    /// Sets a user's password, given as its hash (`$6$…`, as `openssl passwd -6` prints it); `"!"` locks it.
    #[rhai_fn(return_raw)]
    pub fn set_password(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, hash: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        begin(&ctx, image, name)?;
        if !accounts::is_hash(hash) {
            let error = HostError::usage("password", format!("the password of `{name}` is no hash"));
            let advice = "write what `openssl passwd -6` prints, or `!` to lock the password";
            return Err(error.help(advice).into());
        }
        // Not even the hash is for a record.
        image.record(&ctx, vec![name.into()])?;
        Ok(password(image, name, hash)?)
    }

    /// Lets whoever holds an SSH key log in as a user: a line as in `id_ed25519.pub`. A key that is there is not added again.
    #[rhai_fn(return_raw)]
    pub fn authorize_key(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, key: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        begin(&ctx, image, name)?;
        let key = key.trim();
        if !is_key(key) {
            let error = HostError::usage("key", format!("the text is no public SSH key: {key:?}"));
            return Err(error.help("write one line of a file such as ~/.ssh/id_ed25519.pub").into());
        }
        image.record(&ctx, vec![name.into(), key.into()])?;
        Ok(authorize(image, name, key)?)
    }
}
