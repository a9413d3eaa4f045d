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
use super::steps::{Stages, steps};
use super::{
    Action, DiskParameters, DiskPlan, Output, Phase, Plan, PlanError, PlannedElement, Step, System, VERSION,
    collection, shell, writer,
};
use crate::disk;
use crate::element::audit::audit;
use crate::element::packages::{self, PackageFacts, PhasePackages};
use crate::element::{Element, Hook, HookKind, Settings, secret};
use crate::format;
use crate::request::{Kind, Request};

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
    elements.iter().try_for_each(|element| request.policy.judge(&audit(element)))?;
    let shell = shell::is_needed(request, elements);
    if shell {
        collection::check(elements)?;
    }
    let system = system(elements, settings)?;
    let mut plan = Plan {
        version: VERSION,
        name: request.output.file_name().unwrap_or("image").to_owned(),
        kind: request.kind,
        arch: request.arch.clone(),
        seed: request.seed.clone().unwrap_or_else(|| seed(request)),
        source_date_epoch: request.source_date_epoch,
        variables: recorded(request, settings),
        elements: elements.iter().map(|element| planned(element, settings)).collect(),
        seen: BTreeMap::new(),
        steps: Vec::new(),
        shell: None,
        disk: disk_plan(request, elements, settings, disk)?,
        writer: writer::choose(request, elements)?,
        outputs: outputs(request, elements)?,
        checksums: request.checksums.clone(),
        system,
    };
    // A description that cannot be is found now, not after the packages.
    let layout = plan.provisional_layout().map_err(|source| plan.disk.wrong(source))?;
    disk::direct::check(&layout)?;
    plan.outputs.extend(outputs_of_further_disks(&plan.outputs, request, &layout)?);
    let packages = declared_packages(request, elements, settings, &plan.system, &layout)?;
    plan.shell = shell.then(|| shell::plan(request, elements, settings, (&plan.disk.config, &layout), &plan.variables));
    let native = !plan.system.package_manager.is_empty();
    let bootstrap = native.then(|| bootstrap(request, elements, settings, &plan.system, &packages));
    plan.seen = all_seen(&plan)?;
    let inputs = Inputs::new(&plan);
    let stages = Stages {
        packages: &packages,
        bootstrap: bootstrap.as_ref(),
        shell,
        writer: &plan.writer,
        extra: if native { &[] } else { &request.packages },
        breakpoints: &request.breakpoints,
    };
    let steps: Vec<Step> = Phase::ALL.into_iter().flat_map(|phase| steps(phase, elements, &stages)).collect();
    plan.steps = steps.into_iter().map(|step| Step { inputs: inputs.of(&step, &plan), ..step }).collect();
    Ok(plan)
}

/// The packages that elements declare and that the program installs: none when an element's own hooks do that, nor, under a
/// root tree that hooks make, without the element that asks for it.
fn declared_packages(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    system: &System,
    layout: &disk::layout::Layout,
) -> Result<BTreeMap<Phase, PhasePackages>, PlanError> {
    let installer = elements.iter().find(|element| element.name == "package-installs");
    let has_hooks = installer.is_some_and(|element| element.hooks.iter().any(is_shell));
    if has_hooks || (installer.is_none() && system.package_manager.is_empty()) {
        return Ok(BTreeMap::new());
    }
    let mut variables = settings.variables.clone();
    variables.extend(settings.seen_by_conditions.clone());
    variables.extend(variables_of(layout));
    let facts = PackageFacts {
        distribution: system.distribution.clone(),
        family: system.family.clone(),
        release: system.release.clone(),
        arch: request.arch.clone(),
        variables,
    };
    Ok(packages::resolve(elements, &facts)?)
}

/// What `package-installs` may ask about the disk, so that the image gets the packages that start from it: `True` or `False`.
/// `disk` is as for [`assemble`].
///
/// # Errors
/// The description of the disk is wrong.
pub fn disk_variables(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    disk: Option<(String, String)>,
) -> Result<[(String, String); 5], PlanError> {
    let disk = disk_plan(request, elements, settings, disk)?;
    let layout = disk.provisional_layout("").map_err(|source| disk.wrong(source))?;
    Ok(variables_of(&layout))
}

fn variables_of(layout: &disk::layout::Layout) -> [(String, String); 5] {
    let has = |kind: &str| layout.filesystems.iter().any(|filesystem| filesystem.kind == kind);
    [
        ("BTRFS", has("btrfs")),
        ("LUKS", !layout.luks.is_empty()),
        ("LVM", !layout.volume_groups.is_empty()),
        ("VERITY", !layout.verity.is_empty()),
        ("XFS", has("xfs")),
    ]
    .map(|(name, has)| (format!("KILN_DISK_{name}"), if has { "True" } else { "False" }.to_owned()))
}

fn is_shell(hook: &Hook) -> bool {
    matches!(hook.kind, HookKind::Shell { .. })
}

fn system(elements: &[Element], settings: &Settings) -> Result<System, PlanError> {
    let provider = elements.iter().find(|element| element.provides.iter().any(|name| name == "operating-system"));
    let Some(provider) = provider else { return Ok(System::default()) };
    let Some(described) = &provider.system else {
        // Then hooks make the tree, the provider's own or those of what it depends on.
        let made = elements.iter().flat_map(|element| &element.hooks).any(|hook| hook.phase == Phase::Root);
        let by_hooks = System { element: provider.name.clone(), ..System::default() };
        return if made { Ok(by_hooks) } else { Err(PlanError::NoSystem { element: provider.name.clone() }) };
    };
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
    let words = request.arguments.clone().unwrap_or_else(|| words.join(" "));
    variables.entry("DIB_ARGS".to_owned()).or_insert(words);
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
) -> Action {
    let mut wanted: BTreeSet<String> = request.packages.iter().cloned().collect();
    for element in elements {
        wanted.extend(element.system.iter().flat_map(|described| described.packages.iter().cloned()));
    }
    for lists in packages.values() {
        wanted.extend(lists.install.iter().flat_map(|package| package.real.iter().cloned()));
    }
    let options = settings.options.get(&system.element).into_iter().flatten();
    Action::Bootstrap {
        manager: system.package_manager.clone(),
        options: options.map(|(name, value)| (name.clone(), text(value))).collect(),
        packages: wanted.into_iter().collect(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
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
    let (origin, text) = match (given, described.as_slice()) {
        (Some(given), _) => given,
        (None, []) => ("the whole disk, without partitions".to_owned(), disk::config::DEFAULT.to_owned()),
        (None, [(element, file)]) => {
            let read = |source| PlanError::Read { path: file.clone(), source };
            let origin = format!("{}/{}", element.name, file.file_name().unwrap_or_default());
            (origin, fs::read_to_string(file).map_err(read)?)
        }
        (None, [(first, _), (second, _), ..]) => {
            return Err(PlanError::TwoDisks { first: first.name.clone(), second: second.name.clone() });
        }
    };
    let mut config = disk::config::parse(&text, &origin)?;
    let variable = |name: &str| settings.variables.get(name).filter(|value| !value.is_empty());
    if let Some(size) = variable("DIB_BLOCK_SIZE") {
        config.set_sector_size(size)?;
    }
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
        text,
        config,
        parameters: DiskParameters {
            image_size: request.image_size,
            image_extra_size: mebibytes("DIB_IMAGE_EXTRA_SIZE")?,
            journal_size: mebibytes("DIB_JOURNAL_SIZE")?.unwrap_or(64 << 20),
            efi: elements.iter().any(|element| element.name.contains("block-device-efi")),
            root_fs_type: variable("FS_TYPE").cloned().unwrap_or_else(|| "ext4".to_owned()),
            root_label: request.root_label.clone(),
            mkfs_options: request.mkfs_options.clone(),
            max_online_resize: max_online_resize.transpose()?,
            dib_strict: request.dib_strict,
        },
    })
}

/// The files to make. A build of a RAM disk, or one that asks for no final image, makes no disk.
fn outputs(request: &Request, elements: &[Element]) -> Result<Vec<Output>, PlanError> {
    let no_disk =
        request.kind == Kind::Ramdisk || elements.iter().any(|element| element.name.contains("no-final-image"));
    let made =
        |name: &&String| !no_disk || format::find(name).is_ok_and(|format| format.source == format::Source::Tree);
    request
        .formats
        .iter()
        .filter(made)
        .map(|name| {
            let format = format::find(name)?;
            let path = Utf8PathBuf::from(format!("{}.{}", request.output, format.suffix));
            let options = output_options(request, format.name);
            let variables = if format.name == "docker" { client_variables(request) } else { BTreeMap::new() };
            let (format, qcow2_compression) = (name.clone(), request.qcow2_compression);
            Ok(Output { format, path, disk: String::new(), qcow2_compression, options, variables })
        })
        .collect()
}

/// What `outputs` come to for the further disks of `layout`: the disk's name stands before the suffix.
fn outputs_of_further_disks(
    outputs: &[Output],
    request: &Request,
    layout: &disk::layout::Layout,
) -> Result<Vec<Output>, PlanError> {
    let mut further = Vec::new();
    for disk in layout.disks.iter().skip(1) {
        for output in outputs {
            let format = format::find(&output.format)?;
            if format.source == format::Source::Raw {
                let path = Utf8PathBuf::from(format!("{}.{}.{}", request.output, disk.name, format.suffix));
                further.push(Output { path, disk: disk.name.clone(), ..output.clone() });
            }
        }
    }
    Ok(further)
}

/// Variables by which the clients of Docker and Podman find their daemon and their settings.
fn client_variables(request: &Request) -> BTreeMap<String, String> {
    let is_clients = |name: &str| name == "HOME" || name.starts_with("DOCKER_") || name.starts_with("CONTAINER");
    let known = request.environment.iter().filter(|(name, _)| is_clients(name));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
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
        "docker" => request.docker_target.as_ref().map(|target| format!("reference={target}")),
        "oci" => {
            let target = request.docker_target.iter().map(|target| format!("reference={target}"));
            let options: Vec<_> =
                request.oci_compression.iter().map(|name| format!("compression={name}")).chain(target).collect();
            Some(options.join(","))
        }
        "raw" | "tar" | "tar.zst" | "squashfs" | "erofs" | "vhd" | "vhd-fixed" => None,
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
