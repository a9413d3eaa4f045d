//! Users and groups. Needs `users`; the image's own tools do the work.

use rhai::Map;
use rhai::plugin::*;
use serde::Deserialize;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::{options, reading};
use crate::target::Run;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UserOptions {
    uid: Option<i64>,
    group: Option<String>,
    groups: Vec<String>,
    home: Option<String>,
    create_home: bool,
    shell: Option<String>,
    comment: Option<String>,
    system: bool,
}

impl Default for UserOptions {
    fn default() -> Self {
        Self {
            uid: None,
            group: None,
            groups: Vec::new(),
            home: None,
            create_home: true,
            shell: None,
            comment: None,
            system: false,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GroupOptions {
    gid: Option<i64>,
    system: bool,
}

fn begin(ctx: &NativeCallContext<'_>, image: &Image, name: &str) -> Result<(), HostError> {
    let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    if name.is_empty() || name.len() > 32 || name.starts_with('-') || !name.chars().all(good) {
        return Err(HostError::usage("user", format!("`{name}` is no name for a user or group")));
    }
    image.need(ctx, &Permission::Users)?;
    image.record(ctx, vec![name.into()])
}

fn known(image: &Image, file: &str, name: &str) -> Result<bool, HostError> {
    let text = reading::text(image, camino::Utf8Path::new(file))?;
    Ok(text.lines().any(|line| line.split(':').next() == Some(name)))
}

fn run(image: &Image, argv: Vec<String>) -> Result<(), HostError> {
    let line = argv.join(" ");
    let output = image.target().run(&Run { argv, ..Run::default() })?;
    if output.status == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(HostError::new("users.failed", format!("`{line}` ended with status {}: {}", output.status, said.trim())))
}

fn user(ctx: &NativeCallContext<'_>, image: &Image, name: &str, options: Map) -> Result<(), HostError> {
    let options: UserOptions = options::read(ctx.fn_name(), options)?;
    begin(ctx, image, name)?;
    if known(image, "/etc/passwd", name)? {
        return Ok(());
    }
    let mut argv = vec!["useradd".to_owned()];
    argv.push(if options.create_home { "--create-home" } else { "--no-create-home" }.to_owned());
    if options.system {
        argv.push("--system".to_owned());
    }
    let values = [
        ("--uid", options.uid.map(|uid| uid.to_string())),
        ("--gid", options.group),
        ("--groups", (!options.groups.is_empty()).then(|| options.groups.join(","))),
        ("--home-dir", options.home),
        ("--shell", options.shell),
        ("--comment", options.comment),
    ];
    argv.extend(values.into_iter().filter_map(|(word, value)| Some(format!("{word}={}", value?))));
    argv.push(name.to_owned());
    run(image, argv)
}

fn group(ctx: &NativeCallContext<'_>, image: &Image, name: &str, options: Map) -> Result<(), HostError> {
    let options: GroupOptions = options::read(ctx.fn_name(), options)?;
    begin(ctx, image, name)?;
    if known(image, "/etc/group", name)? {
        return Ok(());
    }
    let mut argv = vec!["groupadd".to_owned()];
    if options.system {
        argv.push("--system".to_owned());
    }
    argv.extend(options.gid.map(|gid| format!("--gid={gid}")));
    argv.push(name.to_owned());
    run(image, argv)
}

/// Users.
#[export_module]
pub mod verbs {
    /// Adds a user; one that exists stays as it is.
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
}
