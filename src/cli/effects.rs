//! `kiln plan --effects`: what the Rhai hooks of an image would do, tried on an image in memory.
//!
//! In: a request, perhaps the name of another distribution. Out: the hooks' effects in the order of the plan, and why a hook
//! failed. Needs no operating system among the elements. Not here: running the hooks (`script/rehearsal`).

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::prepare;
use super::words::ImageArgs;
use crate::builder::facts::facts;
use crate::element::{self, Element, OperatingSystem};
use crate::event::Events;
use crate::plan::{self, Phase, Plan};
use crate::request::Request;
use crate::script::distribution::{self, Distribution};
use crate::script::rehearsal::{PlannedEffect, rehearse};
use crate::store::builtin;
use crate::target::Facts;
use crate::target::fake::FakeTarget;

/// Characters of an argument that a line shows.
const SHOWN: usize = 60;

/// Prints the effects, as JSON or for a person; `distro` replaces the distribution that hooks are told.
pub fn run(image: &ImageArgs, distro: Option<&str>, json: bool) -> ExitCode {
    let colour = super::colour();
    let plan = match distro.map(distribution::find).transpose().and_then(|distro| plan(image, distro, colour)) {
        Ok(plan) => plan,
        Err(message) => return super::refuse(&message),
    };
    let layout = match plan.provisional_layout() {
        Ok(layout) => layout,
        Err(error) => return super::refuse(&error),
    };
    let facts = facts(&plan, &layout);
    let mut effects = Vec::new();
    let ended = rehearse(&plan.steps, &plan.elements, &facts, &FakeTarget::new(), &Events::none(), &mut effects);
    if json {
        match serde_json::to_string_pretty(&effects) {
            Ok(text) => super::print(&format!("{text}\n")),
            Err(error) => return super::refuse(&format!("cannot write down the effects: {error}")),
        }
    } else {
        super::print(&text(&effects, &facts));
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(diagnostic) => super::refuse(&diagnostic.render(colour)),
    }
}

/// The plan of the image, with the operating system replaced by `distro`.
fn plan(image: &ImageArgs, distro: Option<&Distribution>, colour: bool) -> Result<Plan, String> {
    let mut request: Request = image.request()?;
    let store = image.store()?;
    let builtin = builtin::elements(&store)
        .map_err(|error| format!("cannot write to the store at {store}: {error}; name another with --store"))?;
    let block_device = super::checks::block_device_override(&mut request)?;
    let explain = |error| prepare::explain(&error, colour);
    let catalog = prepare::catalog(&request, &builtin).map_err(explain)?;
    let mut elements = element::resolve_any(&request, &catalog).map_err(explain)?;
    prepare::warn(&elements);
    prepare::check(&elements, &builtin, colour)?;
    let provider = elements.iter_mut().find(|element| is_system(element));
    let given = provider.is_some();
    let distro = match (distro, given) {
        // Something must be said: the first one is what tests are told, too.
        (None, false) => Some(&distribution::ALL[0]),
        (distro, _) => distro,
    };
    if let (Some(distro), Some(provider)) = (distro, provider) {
        provider.system = Some(system(distro));
    }
    if let Some(distro) = distro {
        let named = request.variables.clone();
        request.variables.extend(distro.variables());
        // What the user says about the init system counts.
        request.variables.extend(named.into_iter().filter(|(name, value)| name != "DISTRO_NAME" && !value.is_empty()));
    }
    let settings = element::settings(&request, &elements).map_err(explain)?;
    let block_device = match block_device {
        None => super::disk_functions::described(&request, &elements, &settings, colour)?,
        given => given,
    };
    let mut plan =
        plan::assemble(&request, &elements, &settings, block_device.clone()).map_err(|error| error.to_string())?;
    if let Some(distro) = distro {
        plan.system.distribution = distro.name.to_owned();
        plan.system.family = distro.family.to_owned();
        let asked = request.variables.get("DIB_RELEASE").filter(|release| !release.is_empty());
        plan.system.release = asked.cloned().unwrap_or_else(|| distro.release.to_owned());
        if !given && plan.elements.iter().any(|element| element.name == "package-installs") {
            let disk = plan::disk_variables(&request, &elements, &settings, block_device);
            provide_packages(&mut plan, &request, &elements, &settings, disk.map_err(|error| error.to_string())?)?;
        }
    }
    Ok(plan)
}

fn is_system(element: &Element) -> bool {
    element.provides.iter().any(|name| name == "operating-system")
}

fn system(distro: &Distribution) -> OperatingSystem {
    OperatingSystem {
        distribution: distro.name.to_owned(),
        family: distro.family.to_owned(),
        package_manager: distro.package_manager.to_owned(),
        packages: Vec::new(),
    }
}

/// Without an operating system nobody knew the real names of the packages when the plan was made.
fn provide_packages(
    plan: &mut Plan,
    request: &Request,
    elements: &[Element],
    settings: &element::Settings,
    disk: impl IntoIterator<Item = (String, String)>,
) -> Result<(), String> {
    let facts = element::packages::PackageFacts {
        distribution: plan.system.distribution.clone(),
        family: plan.system.family.clone(),
        release: plan.system.release.clone(),
        arch: request.arch.clone(),
        variables: settings.variables.clone().into_iter().chain(disk).collect(),
    };
    let phases = element::packages::resolve(elements, &facts).map_err(|error| prepare::explain(&error, false))?;
    for step in &mut plan.steps {
        let plan::Action::InstallPackages { packages, map, remove } = &mut step.action else { continue };
        let Some(lists) = phases.get(&step.phase) else { continue };
        let list = if *remove { &lists.uninstall } else { &lists.install };
        let mine = list.iter().filter(|package| map.as_ref() == Some(&package.element));
        *packages = mine.flat_map(|package| package.real.iter().cloned()).collect();
    }
    Ok(())
}

/// The effects for a person, phase by phase.
fn text(effects: &[PlannedEffect], facts: &Facts) -> String {
    let mut text = format!("{} {} {}\n", facts.distribution, facts.release, facts.arch);
    if effects.is_empty() {
        text.push_str("\nno Rhai hook changes anything\n");
    }
    for phase in Phase::ALL {
        let within: Vec<&PlannedEffect> = effects.iter().filter(|effect| effect.phase == phase).collect();
        if within.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{phase}");
        for effect in within {
            let args: Vec<String> = effect.args.iter().map(shown).collect();
            let (verb, element) = (&effect.verb, &effect.element);
            let _ = writeln!(text, "  {element}: {verb}({})  [{}:{}]", args.join(", "), effect.file, effect.line);
        }
    }
    text
}

/// An argument in a line.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
    }
}
