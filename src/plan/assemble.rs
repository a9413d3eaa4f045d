//! Makes a plan of a request and its elements.
//!
//! In: what was asked for, the elements in order, their variables and options. Out: every step in its place, with the hash of
//! what is known about its inputs. Reads the elements' files (for their hashes and their block-device description), nothing
//! else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::Utf8PathBuf;
use serde_json::Value;

use super::inputs::Inputs;
use super::seen::seen;
use super::{Action, DiskParameters, DiskPlan, Output, Phase, Plan, PlannedElement, Step, System, VERSION};
use crate::disk;
use crate::element::packages::{self, PackageFacts, PhasePackages};
use crate::element::{Element, ElementError, HookKind, Settings, secret};
use crate::format;
use crate::request::Request;

/// Why elements and a request do not make a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An element is wrong.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// The block-device description is wrong.
    #[error(transparent)]
    Config(#[from] disk::config::ConfigError),
    /// The block-device description cannot be laid out.
    #[error(transparent)]
    Layout(#[from] disk::solve::LayoutError),
    /// A file system that nobody here writes.
    #[error(transparent)]
    FileSystem(#[from] disk::direct::DiskError),
    /// A format that nobody knows.
    #[error(transparent)]
    Format(#[from] format::UnknownFormat),
    /// A file of an element cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A variable holds no number.
    #[error("{variable} is `{value}`, which is no number of MiB")]
    Number {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// A shell hook.
    #[error(
        "element {element} has the shell hook {file}; this version of kiln runs hooks in Rhai only: leave the element out, or \
         write the hook as {element}/{phase}.d/NN-name.rhai"
    )]
    ShellHook {
        /// The element.
        element: String,
        /// The hook.
        file: Utf8PathBuf,
        /// Its phase.
        phase: Phase,
    },
    /// An operating-system element that is not described.
    #[error(
        "element {element} provides the operating system without saying how: its manifest needs `system`, which names the \
         distribution and its package manager"
    )]
    NoSystem {
        /// The element.
        element: String,
    },
    /// Two elements describe the disk.
    #[error("both {first} and {second} describe the disk; leave one of them out, or set DIB_BLOCK_DEVICE_CONFIG")]
    TwoDisks {
        /// One element.
        first: String,
        /// The other.
        second: String,
    },
}

/// Joins `request` and `elements` (in order, with their `settings`). `disk` is a block-device description given by the user:
/// where it came from and its text.
///
/// # Errors
/// Whatever of it cannot be built; the text says what to change.
pub fn assemble(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    disk: Option<(String, String)>,
) -> Result<Plan, PlanError> {
    let system = system(elements, settings)?;
    let facts = PackageFacts {
        distribution: system.distribution.clone(),
        family: system.family.clone(),
        release: system.release.clone(),
        arch: request.arch.clone(),
        variables: settings.variables.clone(),
    };
    let packages = packages::resolve(elements, &facts)?;
    let mut plan = Plan {
        version: VERSION,
        name: request.output.file_name().unwrap_or("image").to_owned(),
        arch: request.arch.clone(),
        seed: request.seed.clone().unwrap_or_else(|| seed(request)),
        source_date_epoch: request.source_date_epoch,
        system,
        variables: recorded(request, settings),
        elements: elements.iter().map(|element| planned(element, settings)).collect(),
        seen: BTreeMap::new(),
        steps: Vec::new(),
        disk: disk_plan(request, elements, settings, disk)?,
        outputs: outputs(request)?,
        checksums: request.checksums.clone(),
    };
    // A description that cannot be is found now, not after the packages.
    disk::direct::check(&plan.provisional_layout()?)?;
    let bootstrap = bootstrap(request, elements, settings, &plan.system, &packages)?;
    plan.seen = all_seen(&plan)?;
    let inputs = Inputs::new(&plan);
    plan.steps = Phase::ALL
        .into_iter()
        .map(|phase| steps(phase, elements, &packages, &bootstrap))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .map(|step| Step { inputs: inputs.of(&step, &plan), ..step })
        .collect();
    Ok(plan)
}

fn system(elements: &[Element], settings: &Settings) -> Result<System, PlanError> {
    let provider = elements.iter().find(|element| element.provides.iter().any(|name| name == "operating-system"));
    let Some(provider) = provider else { return Ok(System::default()) };
    let described = provider.system.as_ref();
    let described = described.ok_or_else(|| PlanError::NoSystem { element: provider.name.clone() })?;
    let release = settings.options.get(&provider.name).and_then(|options| options.get("release"));
    Ok(System {
        element: provider.name.clone(),
        distribution: described.distribution.clone(),
        family: described.family.clone(),
        release: release.map(text).unwrap_or_default(),
        package_manager: described.package_manager.clone(),
    })
}

fn planned(element: &Element, settings: &Settings) -> PlannedElement {
    PlannedElement {
        name: element.name.clone(),
        directory: element.directory.clone(),
        permissions: element.permissions.clone(),
        options: settings.options.get(&element.name).cloned().unwrap_or_default(),
    }
}

/// The variables, with DIB's two that say what was asked for. The words themselves would not do: where the image goes and in
/// which format is no part of it, and equal images shall be equal. Both go into the image, so they hold no secrets.
fn recorded(request: &Request, settings: &Settings) -> BTreeMap<String, String> {
    let mut words = request.elements.clone();
    words.extend(request.packages.iter().map(|package| format!("-p {package}")));
    words.extend(request.options.iter().map(|(name, value)| format!("--option {name}={}", secret::shown(name, value))));
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
    let declared = settings.variables.iter().filter(|(name, _)| name.starts_with("DIB_"));
    let lines: Vec<String> = declared
        .map(|(name, value)| format!("declare -x {name}=\"{}\"", quoted(&secret::shown(name, value))))
        .collect();
    let mut variables = settings.variables.clone();
    variables.entry("DIB_ARGS".to_owned()).or_insert_with(|| words.join(" "));
    variables.entry("DIB_ENV".to_owned()).or_insert_with(|| lines.join("\n"));
    variables
}

/// Everything that the bootstrap can bring, so that packages are unpacked and configured once.
fn bootstrap(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    system: &System,
    packages: &BTreeMap<Phase, PhasePackages>,
) -> Result<Action, PlanError> {
    let mut wanted: BTreeSet<String> = request.packages.iter().cloned().collect();
    for element in elements {
        wanted.extend(element.system.iter().flat_map(|described| described.packages.iter().cloned()));
    }
    for lists in packages.values() {
        wanted.extend(lists.install.iter().flat_map(|package| package.real.iter().cloned()));
    }
    let options = settings.options.get(&system.element).into_iter().flatten();
    Ok(Action::Bootstrap {
        manager: system.package_manager.clone(),
        options: options.map(|(name, value)| (name.clone(), text(value))).collect(),
        packages: wanted.into_iter().collect(),
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The steps of one phase, in order, without their inputs.
fn steps(
    phase: Phase,
    elements: &[Element],
    packages: &BTreeMap<Phase, PhasePackages>,
    bootstrap: &Action,
) -> Result<Vec<Step>, PlanError> {
    let step = |name: &str, element: Option<&str>, action: Action| Step {
        id: format!("{phase}/{name}"),
        phase,
        element: element.map(str::to_owned),
        inputs: String::new(),
        action,
    };
    let mut steps = Vec::new();
    match phase {
        Phase::Root => steps.push(step("00-bootstrap", None, bootstrap.clone())),
        // Once, after the last package and after whatever configures it.
        Phase::Finalise => steps.push(step("00-initramfs", None, Action::Initramfs)),
        _ => {}
    }
    let mut hooks: Vec<_> = elements
        .iter()
        .flat_map(|element| element.hooks.iter().map(move |hook| (element, hook)))
        .filter(|(_, hook)| hook.phase == phase)
        .collect();
    hooks.sort_by(|(_, one), (_, other)| crate::element::hooks::order(&one.key, &other.key));
    for (element, hook) in hooks {
        let name = &element.name;
        let HookKind::Script { file, function } = &hook.kind else {
            let HookKind::Shell { file } = &hook.kind else { continue };
            return Err(PlanError::ShellHook { element: name.clone(), file: file.clone(), phase });
        };
        let action = Action::Script { file: file.clone(), function: function.clone() };
        steps.push(step(&format!("{}/{name}", hook.key), Some(name), action));
        if let (Phase::Finalise, Some(kind)) = (phase, &element.boot_loader) {
            let action = Action::BootLoader { kind: kind.clone() };
            steps.push(step(&format!("{}/{name}/boot-loader", hook.key), Some(name), action));
        }
    }
    let unwanted: Vec<String> = packages
        .get(&phase)
        .map(|lists| lists.uninstall.iter().flat_map(|package| package.real.iter().cloned()).collect())
        .unwrap_or_default();
    if !unwanted.is_empty() {
        steps.push(step("99-package-uninstalls", None, Action::RemovePackages { packages: unwanted }));
    }
    match phase {
        Phase::BlockDevice => steps.push(step("99-file-system-table", None, Action::FileSystemTable)),
        Phase::Cleanup => steps.push(step("99-tidy", None, Action::Tidy)),
        _ => {}
    }
    Ok(steps)
}

fn disk_plan(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    given: Option<(String, String)>,
) -> Result<DiskPlan, PlanError> {
    let mut described: Vec<(&Element, Utf8PathBuf)> = Vec::new();
    for element in elements {
        described.extend(element.block_device(&request.arch).map(|file| (element, file)));
    }
    let (origin, config) = match (given, described.as_slice()) {
        (Some((origin, text)), _) => {
            let config = disk::config::parse(&text, &origin)?;
            (origin, config)
        }
        (None, []) => ("the whole disk, without partitions".to_owned(), disk::config::default_config()),
        (None, [(element, file)]) => {
            let read = |source| PlanError::Read { path: file.clone(), source };
            let origin = format!("{}/{}", element.name, file.file_name().unwrap_or_default());
            let config = disk::config::parse(&fs::read_to_string(file).map_err(read)?, &origin)?;
            (origin, config)
        }
        (None, [(first, _), (second, _), ..]) => {
            return Err(PlanError::TwoDisks { first: first.name.clone(), second: second.name.clone() });
        }
    };
    let variable = |name: &str| settings.variables.get(name).filter(|value| !value.is_empty());
    let mebibytes = |name: &str| {
        let number = |value: &String| {
            let wrong = || PlanError::Number { variable: name.to_owned(), value: value.clone() };
            let number: f64 = value.trim().parse().map_err(|_| wrong())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 0 or more, and finite"
            )]
            if number.is_finite() && number >= 0.0 { Ok((number * f64::from(1 << 20)) as u64) } else { Err(wrong()) }
        };
        variable(name).map(number).transpose()
    };
    let online = variable("MAX_ONLINE_RESIZE");
    let max_online_resize = online.map(|value| {
        value.parse().map_err(|_| PlanError::Number { variable: "MAX_ONLINE_RESIZE".into(), value: value.clone() })
    });
    Ok(DiskPlan {
        origin,
        config,
        parameters: DiskParameters {
            image_size: request.image_size,
            image_extra_size: mebibytes("DIB_IMAGE_EXTRA_SIZE")?,
            journal_size: mebibytes("DIB_JOURNAL_SIZE")?.unwrap_or(64 << 20),
            efi: elements.iter().any(|element| element.name.contains("block-device-efi")),
            root_fs_type: variable("FS_TYPE").cloned().unwrap_or_else(|| "ext4".to_owned()),
            root_label: request.root_label.clone(),
            mkfs_options: Vec::new(),
            max_online_resize: max_online_resize.transpose()?,
        },
    })
}

fn outputs(request: &Request) -> Result<Vec<Output>, PlanError> {
    request
        .formats
        .iter()
        .map(|name| {
            let format = format::find(name)?;
            let path = Utf8PathBuf::from(format!("{}.{}", request.output, format.suffix));
            let options = output_options(request, format.name);
            Ok(Output { format: name.clone(), path, qcow2_compression: request.qcow2_compression, options })
        })
        .collect()
}

/// What `format` takes from the request beside a path.
fn output_options(request: &Request, format: &str) -> String {
    let variable = |name| request.variables.get(name).or_else(|| request.environment.get(name)).cloned();
    let options = match format {
        "tgz" => variable("DIB_GZIP_BIN"),
        "aci" => {
            let path = variable("ACI_MANIFEST").filter(|path| !path.is_empty());
            path.map(|path| request.directory.join(path).into_string())
        }
        "docker" => request.docker_target.clone(),
        "raw" | "tar" | "squashfs" | "vhd" => None,
        _ => request.qemu_img_options.clone(),
    };
    options.unwrap_or_default()
}

/// Equal requests get equal identifiers, wherever their files go.
fn seed(request: &Request) -> String {
    let parts = (
        (&request.elements, &request.arch, &request.packages, &request.options),
        (&request.image_size, &request.root_label, &request.variables, request.skip_base),
    );
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(&parts).unwrap_or_default());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// What the scripts of each element can see outside the image.
fn all_seen(plan: &Plan) -> Result<BTreeMap<String, String>, PlanError> {
    plan.elements
        .iter()
        .map(|element| {
            let read = |source| PlanError::Read { path: element.directory.clone(), source };
            Ok((element.name.clone(), seen(element).map_err(read)?))
        })
        .collect()
}
