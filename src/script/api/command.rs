//! Commands inside the image. Needs `run`; they reach the network when the element has `network` too.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::Deserialize;

use super::super::effect;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::options;
use crate::target::Run;

/// Lines of a failed command that its error shows.
const LINES: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunOptions {
    /// Variables on top of the usual ones.
    #[serde(default)]
    env: std::collections::BTreeMap<String, String>,
    /// What the command reads.
    #[serde(default)]
    stdin: String,
    /// Seconds.
    #[serde(default)]
    timeout: Option<i64>,
    /// A status other than 0 is an error.
    #[serde(default = "yes")]
    check: bool,
}

fn yes() -> bool {
    true
}

fn run(ctx: &NativeCallContext<'_>, image: &Image, argv: Array, options: Map) -> Result<Map, HostError> {
    let options: RunOptions = options::read(ctx.fn_name(), options)?;
    let argv: Vec<String> = argv.into_iter().map(|word| word.to_string()).collect();
    if argv.first().is_none_or(String::is_empty) {
        let error = HostError::usage("command", "there is no program to run");
        return Err(error.help("write program and arguments as a list: `image.run_in_chroot([\"update-grub\"])`"));
    }
    let timeout = options.timeout.map(|seconds| {
        let bad = || HostError::usage("option", format!("a `timeout` of {seconds} s makes no sense"));
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or_else(bad)
    });
    image.need(ctx, &Permission::Run)?;
    image.record(ctx, vec![argv.iter().map(|word| effect::text(word)).collect::<Vec<_>>().into()])?;
    let line = argv.join(" ");
    let output = image.target().run(&Run {
        argv,
        env: options.env.into_iter().collect(),
        stdin: options.stdin.into_bytes(),
        timeout: timeout.transpose()?,
        network: image.may(ctx, &Permission::Network),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if options.check && output.status != 0 {
        let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut message = format!("`{line}` ended with status {}", output.status);
        if !lines.is_empty() {
            message += &format!("; its last lines:\n  {}", lines[lines.len().saturating_sub(LINES)..].join("\n  "));
        }
        return Err(HostError::new("command.failed", message));
    }
    let mut map = Map::new();
    map.insert("status".into(), i64::from(output.status).into());
    map.insert("stdout".into(), stdout.into());
    map.insert("stderr".into(), stderr.into());
    Ok(map)
}

/// Commands.
#[export_module]
pub mod verbs {
    /// Runs a program inside the image as its root user and returns `#{status, stdout, stderr}`. A status other than 0 is an
    /// error (`command.failed`).
    #[rhai_fn(return_raw)]
    pub fn run_in_chroot(ctx: NativeCallContext<'_>, image: &mut Image, command: Array) -> RhaiResult<Map> {
        let _running = image.enter(&ctx);
        Ok(run(&ctx, image, command, Map::new())?)
    }

    /// As above, with `#{env: #{NAME: "text"}, stdin: "text", timeout: seconds, check: false}`; `check: false` returns any
    /// status.
    #[rhai_fn(name = "run_in_chroot", return_raw)]
    pub fn run_in_chroot_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        command: Array,
        options: Map,
    ) -> RhaiResult<Map> {
        let _running = image.enter(&ctx);
        Ok(run(&ctx, image, command, options)?)
    }
}
