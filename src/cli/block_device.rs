//! `kiln block-device`: what DIB's `dib-block-device` answers to hooks; hidden.
//!
//! In: a file of parameters, and `state.json`, which the builder writes once the devices exist. Out: values on standard
//! output. Keys of the parameters: `config`, the path of a description; `root-fs-type`; `root-label`; `build-dir`, below which
//! `states/block-device/state.json` is (without it: beside the file of parameters). Keys of the state:
//! `blockdev.NAME.device` for every device, `blockdev.NAME.image` for every disk. Not here: devices; the builder makes them.

use std::fs;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::variables;
use crate::disk::config::{self, Config};
use crate::disk::solve;
use crate::plan::DiskParameters;

const VARIABLE: &str = "DIB_BLOCK_DEVICE_PARAMS_YAML";

/// Words of `kiln block-device`.
#[derive(Args, Debug)]
pub struct BlockDeviceArgs {
    /// File of parameters; DIB_BLOCK_DEVICE_PARAMS_YAML names it otherwise
    #[arg(long, value_name = "FILE")]
    params: Option<Utf8PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Check the description
    Init,
    /// Print a value
    Getval {
        /// root-label, root-fstype, boot-label, mount-points, image-path, image-block-device or image-block-devices
        symbol: String,
    },
    /// Done by kiln itself
    Create,
    /// Done by kiln itself
    Umount,
    /// Done by kiln itself
    Cleanup,
    /// Done by kiln itself
    Delete,
    /// Done by kiln itself
    Writefstab,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Parameters {
    config: Utf8PathBuf,
    root_fs_type: Option<String>,
    root_label: Option<String>,
    build_dir: Option<Utf8PathBuf>,
}

/// Carries out `args`; the statuses are DIB's.
pub fn run(args: &BlockDeviceArgs) -> ExitCode {
    let Some(file) = args.params.clone().or_else(|| variables::var(VARIABLE).map(Utf8PathBuf::from)) else {
        super::refuse(&format!("{VARIABLE} or --params not set: name the file of parameters"));
        return ExitCode::from(2);
    };
    match carry_out(args.action.as_ref(), &file) {
        Ok(text) => {
            super::print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

fn carry_out(action: Option<&Action>, file: &Utf8Path) -> Result<String, String> {
    let parameters = read(file)?;
    let own = |verb: &str, when: &str| {
        Err(format!("{verb} is not for hooks: kiln {when} itself, and undoes it whatever happens; leave the call out"))
    };
    match action {
        None => {
            Err("no command is given; there are init, getval SYMBOL, create, umount, cleanup, delete and writefstab"
                .into())
        }
        Some(Action::Init) => description(&parameters).map(|_| String::new()),
        Some(Action::Getval { symbol }) => value(symbol, &parameters, file),
        Some(Action::Create) => own("create", "makes partitions, file systems and mounts before pre-finalise.d"),
        // DIB's own words and status for a state that it cannot find: scripts call this to be sure.
        Some(Action::Umount) => {
            eprintln!("State already cleaned - no way to do anything here: kiln unmounts the image itself");
            Ok(String::new())
        }
        Some(Action::Cleanup) => own("cleanup", "removes its devices at the end of a build"),
        Some(Action::Delete) => own("delete", "removes a failed build's image"),
        Some(Action::Writefstab) => own("writefstab", "writes /etc/fstab before pre-finalise.d"),
    }
}

fn read(file: &Utf8Path) -> Result<Parameters, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read the parameters in {file}: {error}"))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("the parameters in {file} are wrong: {error}"))
}

fn description(parameters: &Parameters) -> Result<Config, String> {
    let path = &parameters.config;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read the description in {path}: {error}"))?;
    config::parse(&text, path.as_str()).map_err(|error| error.diagnostic.render(super::colour()))
}

/// The value of `symbol`, and a line end.
fn value(symbol: &str, parameters: &Parameters, file: &Utf8Path) -> Result<String, String> {
    let answer = match symbol {
        "root-label" | "root-fstype" => {
            let config = description(parameters)?;
            let given = disk_parameters(parameters);
            match symbol {
                "root-label" => solve::root_label(&config, &given),
                _ => solve::root_fs_type(&config, &given).to_owned(),
            }
        }
        "boot-label" => description(parameters)?.boot_label().to_owned(),
        "mount-points" => {
            let config = description(parameters)?;
            config.points().collect::<Vec<_>>().join("|")
        }
        _ => return state_value(symbol, &devices(parameters, file)?),
    };
    Ok(format!("{answer}\n"))
}

fn disk_parameters(parameters: &Parameters) -> DiskParameters {
    DiskParameters {
        image_size: None,
        image_extra_size: None,
        journal_size: 0,
        efi: false,
        root_fs_type: parameters.root_fs_type.clone().unwrap_or_else(|| "ext4".into()),
        root_label: parameters.root_label.clone().filter(|label| !label.is_empty()),
        mkfs_options: Vec::new(),
        max_online_resize: None,
    }
}

/// The map `blockdev` of the state.
fn devices(parameters: &Parameters, file: &Utf8Path) -> Result<serde_json::Map<String, Value>, String> {
    let beside = file.parent().unwrap_or(Utf8Path::new("."));
    let folder = parameters.build_dir.as_ref().map(|build| build.join("states/block-device"));
    let path = folder.as_deref().unwrap_or(beside).join("state.json");
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("State dump not found: {path}: {error}; devices exist from pre-finalise.d on, when a hook needs them")
    })?;
    let mut state: Value = serde_json::from_str(&text).map_err(|error| format!("{path} is no state: {error}"))?;
    match state.get_mut("blockdev").map(Value::take) {
        Some(Value::Object(devices)) => Ok(devices),
        _ => Err(format!("{path} is no state: it has no map called blockdev")),
    }
}

fn state_value(symbol: &str, devices: &serde_json::Map<String, Value>) -> Result<String, String> {
    // The primary disk: image0, else the first one.
    let disk = || {
        let named = devices.get("image0").into_iter();
        named.chain(devices.values()).find(|device| device.get("image").is_some())
    };
    let text = |key: &str| {
        let value = disk().and_then(|disk| disk.get(key)).and_then(Value::as_str);
        value.map(|value| format!("{value}\n")).ok_or_else(|| format!("the state names no {key} of the image"))
    };
    match symbol {
        "image-path" => text("image"),
        "image-block-device" => text("device"),
        "image-block-devices" => {
            let device =
                |(name, device): (&String, &Value)| Some(format!(" [{name}]={} ", device.get("device")?.as_str()?));
            Ok(devices.iter().filter_map(device).collect::<String>() + "\n")
        }
        _ => {
            // DIB ends with 0 here, and callers have learnt to look at the value.
            eprintln!("error: Invalid symbol [{symbol}] for getval");
            Ok(String::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(text: &str) -> serde_json::Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_primary_disk_is_image0_else_the_first_with_an_image() {
        let two = devices(
            r#"{"a": {"device": "/dev/loop1", "image": "/b/a.raw"}, "image0": {"device": "/dev/loop0", "image": "/b/0.raw"},
                "root": {"device": "/dev/loop0p1"}}"#,
        );
        assert_eq!(state_value("image-path", &two).unwrap(), "/b/0.raw\n");
        assert_eq!(state_value("image-block-device", &two).unwrap(), "/dev/loop0\n");
        assert_eq!(
            state_value("image-block-devices", &two).unwrap(),
            " [a]=/dev/loop1  [image0]=/dev/loop0  [root]=/dev/loop0p1 \n"
        );
        let other =
            devices(r#"{"disk": {"device": "/dev/loop3", "image": "/b/d.raw"}, "a": {"device": "/dev/loop3p1"}}"#);
        assert_eq!(state_value("image-path", &other).unwrap(), "/b/d.raw\n");
        assert_eq!(state_value("unknown", &other).unwrap(), "");
        assert!(state_value("image-path", &devices("{}")).is_err());
    }
}
