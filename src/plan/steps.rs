//! The steps of one phase, in order, without their inputs.
//!
//! In: the elements' hooks, their packages, what the plan needs beyond hooks. Out: [`Step`]s. Hooks of every language run in one
//! numeric order; the program's own stages stand where DIB's core does the same work. Not here: hashes of inputs (`inputs`).

use std::collections::BTreeMap;

use super::step::Place;
use super::{Action, Phase, Step, Writer, interpreter};
use crate::element::packages::{Package, PhasePackages};
use crate::element::{Element, HookKind, hooks};
use crate::request::Breakpoints;

/// What decides about the program's own stages.
pub(super) struct Stages<'a> {
    /// Packages that elements declare and the program installs, by phase.
    pub packages: &'a BTreeMap<Phase, PhasePackages>,
    /// Makes the tree, when no hook does.
    pub bootstrap: Option<&'a Action>,
    /// There is a hooks folder.
    pub shell: bool,
    /// Who writes the disk.
    pub writer: &'a Writer,
    /// Packages of the request that are installed after the install phase (`-p`), when there is no bootstrap to take them.
    pub extra: &'a [String],
    /// Where the user wants a shell.
    pub breakpoints: &'a Breakpoints,
}

/// When packages come and go within a phase: the numbers of DIB's hooks.
const fn package_points(phase: Phase) -> Option<(&'static str, &'static str)> {
    match phase {
        Phase::PreInstall => Some(("10-package-installs", "99-package-uninstalls")),
        Phase::Install => Some(("01-package-installs", "99-package-uninstalls")),
        Phase::PostInstall => Some(("00-package-installs", "95-package-uninstalls")),
        _ => None,
    }
}

/// The steps of `phase`, in order.
pub(super) fn steps(phase: Phase, elements: &[Element], stages: &Stages<'_>) -> Vec<Step> {
    let mut steps = before(phase, stages);
    steps.extend(stop(phase, "before", stages.breakpoints));
    let mut within: Vec<Step> = elements.iter().flat_map(|element| of_element(phase, element)).collect();
    within.extend(of_packages(phase, stages));
    within.sort_by(|one, other| hooks::order(one.key(), other.key()));
    steps.extend(within);
    steps.extend(stop(phase, "after", stages.breakpoints));
    steps.extend(after(phase, stages));
    steps
}

/// A shell before or after the hooks of `phase`, when the user wants one there. Inside the image it is always bash, as after a
/// phase of the host's side.
fn stop(phase: Phase, when: &str, breakpoints: &Breakpoints) -> Option<Step> {
    let point = format!("{when}-{phase}");
    let place = Place::of(phase);
    let own = breakpoints.command.clone().filter(|_| when == "before" && place == Place::Host);
    let command = own.unwrap_or_else(|| "bash".to_owned());
    let wanted = breakpoints.wants(&point);
    wanted.then(|| step(phase, &format!("{when}-break"), None, Action::Break { point, command, place }))
}

fn step(phase: Phase, name: &str, element: Option<&str>, action: Action) -> Step {
    let element = element.map(str::to_owned);
    Step { id: format!("{phase}/{name}"), phase, element, inputs: String::new(), action }
}

/// What the program does before the hooks.
fn before(phase: Phase, stages: &Stages<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    match phase {
        Phase::Root => {
            steps.extend(stages.bootstrap.map(|bootstrap| step(phase, "00-bootstrap", None, bootstrap.clone())));
            steps.extend(stages.shell.then(|| step(phase, "00-collect-hooks", None, Action::CollectHooks)));
        }
        // Once, after the last package and after whatever configures it.
        Phase::Finalise if stages.bootstrap.is_some() => {
            steps.push(step(phase, "00-initramfs", None, Action::Initramfs));
        }
        _ => {}
    }
    steps
}

/// The hooks of `element`.
fn of_element(phase: Phase, element: &Element) -> Vec<Step> {
    let name = element.name.as_str();
    let mut steps = Vec::new();
    for hook in element.hooks.iter().filter(|hook| hook.phase == phase) {
        let action = match &hook.kind {
            HookKind::Script { file, function } => Action::Script { file: file.clone(), function: function.clone() },
            HookKind::Shell { file } => Action::ShellHook {
                name: hook.key.clone(),
                place: Place::of(phase),
                // A file that cannot be read is an error when it is to be run.
                interpreter: interpreter::of(file).unwrap_or_default(),
            },
            HookKind::BuiltIn { name } => Action::BuiltIn { name: name.clone() },
        };
        let is_script = matches!(action, Action::Script { .. });
        steps.push(step(phase, &format!("{}/{name}", hook.key), Some(name), action));
        if let (Phase::Finalise, Some(kind), true) = (phase, &element.boot_loader, is_script) {
            let action = Action::BootLoader { kind: kind.clone() };
            steps.push(step(phase, &format!("{}/{name}/boot-loader", hook.key), Some(name), action));
        }
    }
    steps
}

/// Packages that come and go in the middle of a phase.
fn of_packages(phase: Phase, stages: &Stages<'_>) -> Vec<Step> {
    let (Some((come, go)), Some(lists)) = (package_points(phase), stages.packages.get(&phase)) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    if stages.bootstrap.is_some() {
        // The bootstrap has brought them; what leaves, leaves here.
        let unwanted: Vec<String> = lists.uninstall.iter().flat_map(|package| package.real.iter().cloned()).collect();
        if !unwanted.is_empty() {
            steps.push(step(phase, go, None, Action::RemovePackages { packages: unwanted }));
        }
        return steps;
    }
    for (point, packages, remove) in [(come, &lists.install, false), (go, &lists.uninstall, true)] {
        for (element, packages) in by_element(packages) {
            let action = Action::InstallPackages { map: Some(element.clone()), packages, remove };
            steps.push(step(phase, &format!("{point}/{element}"), Some(&element), action));
        }
    }
    steps
}

/// Declared names, element by element: each has its own map.
fn by_element(packages: &[Package]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for package in packages {
        match groups.iter_mut().find(|(element, _)| *element == package.element) {
            Some((_, names)) => names.push(package.name.clone()),
            None => groups.push((package.element.clone(), vec![package.name.clone()])),
        }
    }
    groups
}

/// What the program does after the hooks.
fn after(phase: Phase, stages: &Stages<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    match phase {
        Phase::Root if stages.shell => steps.push(step(phase, "99-settle", None, Action::SettleRoot)),
        Phase::Install if !stages.extra.is_empty() => {
            let action = Action::InstallPackages { map: None, packages: stages.extra.to_vec(), remove: false };
            steps.push(step(phase, "99-packages", None, action));
        }
        Phase::BlockDevice => {
            steps.push(step(phase, "99-file-system-table", None, Action::FileSystemTable));
            if matches!(stages.writer, Writer::Loop { .. }) {
                steps.push(step(phase, "99-attach-disk", None, Action::AttachDisk));
            }
        }
        Phase::Cleanup => {
            if stages.shell {
                steps.push(step(phase, "99-name-servers", None, Action::RestoreNameServers));
            }
            steps.push(step(phase, "99-tidy", None, Action::Tidy));
        }
        _ => {}
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Hook;

    fn element(name: &str, hooks: &[(Phase, &str)]) -> Element {
        let hook = |(phase, key): &(Phase, &str)| Hook {
            phase: *phase,
            key: (*key).to_owned(),
            kind: HookKind::Shell { file: format!("/e/{name}/{key}").into() },
        };
        Element { name: name.into(), hooks: hooks.iter().map(hook).collect(), ..Element::default() }
    }

    fn ids(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.id.as_str()).collect()
    }

    #[test]
    fn hooks_and_packages_interleave_by_number_and_stages_stand_around_them() {
        let package = |name: &str, element: &str| Package { name: name.into(), element: element.into(), real: vec![] };
        let lists = PhasePackages {
            install: vec![package("vim", "b"), package("git", "a"), package("nano", "b")],
            uninstall: vec![package("gcc", "a")],
        };
        let packages = BTreeMap::from([(Phase::Install, lists)]);
        let elements = [
            element("a", &[(Phase::Install, "100-late"), (Phase::Install, "00-early"), (Phase::Root, "08-root")]),
            element("b", &[(Phase::Install, "20-b")]),
        ];
        let extra = ["mc".to_owned()];
        let writer = Writer::Loop { because: "x".into() };
        let breakpoints = Breakpoints {
            points: vec!["before-root".into(), "after-install".into()],
            command: Some("true".into()),
            outside_target: false,
        };
        let stages = Stages {
            packages: &packages,
            bootstrap: None,
            shell: true,
            writer: &writer,
            extra: &extra,
            breakpoints: &breakpoints,
        };
        let install = steps(Phase::Install, &elements, &stages);
        assert_eq!(
            ids(&install),
            [
                "install/00-early/a",
                "install/01-package-installs/b",
                "install/01-package-installs/a",
                "install/20-b/b",
                "install/99-package-uninstalls/a",
                "install/100-late/a",
                "install/after-break",
                "install/99-packages"
            ]
        );
        let Action::InstallPackages { map, packages, remove } = &install[1].action else { panic!() };
        assert_eq!((map.as_deref(), packages.len(), remove), (Some("b"), 2, &false));
        let root = steps(Phase::Root, &elements, &stages);
        assert_eq!(ids(&root), ["root/00-collect-hooks", "root/before-break", "root/08-root/a", "root/99-settle"]);
        let Action::Break { command, place, .. } = &root[1].action else { panic!() };
        assert_eq!((command.as_str(), *place), ("true", Place::Host));
        let Action::Break { command, place, .. } = &install[6].action else { panic!() };
        assert_eq!((command.as_str(), *place), ("bash", Place::Image));
        let disk = steps(Phase::BlockDevice, &elements, &stages);
        assert_eq!(ids(&disk), ["block-device/99-file-system-table", "block-device/99-attach-disk"]);
        let direct = Stages { writer: &Writer::Direct, ..stages };
        assert_eq!(ids(&steps(Phase::BlockDevice, &elements, &direct)), ["block-device/99-file-system-table"]);
    }
}
