//! Shell hooks on the tree of a running step.
//!
//! In: the plan's shell part and the steps. Out: hooks that ran. Keeps what lives longer than a step: the environment of the phase,
//! mounts that hooks made and expect to find again, variables that come with the disk. Not here: how a hook is run (`hook/`), which
//! layers the tree is made of (`stack`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use super::inside::Image;
use super::stack::{Place, Stack};
use crate::distro;
use crate::hook::breakpoint::{self, Stop};
use crate::hook::environment::{self, Environment};
use crate::hook::limits::Limits;
use crate::hook::tool::Tool;
use crate::hook::{self, HookError, printed, run, transcript};
use crate::plan::{self, Phase, Plan, Step};
use crate::sandbox::chroot::Chroot;
use crate::sandbox::interactive::Terminal;
use crate::sandbox::mount_table::{self, MountEntry};

/// What runs shell hooks.
pub struct Hooks<'a> {
    site: hook::Site<'a>,
    terminal: Option<Terminal>,
    /// What `environment.d` made, once a phase and place.
    environments: RefCell<BTreeMap<(Phase, bool), Environment>>,
    /// Mounts of hooks in the tree: each step's tree is mounted anew, and they with it.
    carried: RefCell<Vec<MountEntry>>,
    /// Variables that come with the disk.
    devices: RefCell<BTreeMap<String, String>>,
    /// Variables that hooks of block-device.d printed.
    printed: RefCell<BTreeMap<String, String>>,
    /// Its device nodes.
    nodes: RefCell<Vec<Utf8PathBuf>>,
    /// Hooks of the running phase, and how long each took.
    times: RefCell<Vec<(String, Duration)>>,
    /// The tree is the attached disk: what is mounted in it stays until the end.
    lasting: Cell<bool>,
    /// The kernel's file systems are mounted in that tree.
    raised: Cell<bool>,
}

/// The note, beside a layer, of the mounts that stood when its step was done.
const MOUNTS: &str = "mounts.json";

impl<'a> Hooks<'a> {
    /// Runs the hooks of `site`; breakpoints talk to `terminal`.
    pub fn new(site: hook::Site<'a>, terminal: Option<Terminal>) -> Self {
        Self {
            site,
            terminal,
            environments: RefCell::default(),
            carried: RefCell::default(),
            devices: RefCell::default(),
            printed: RefCell::default(),
            nodes: RefCell::default(),
            times: RefCell::default(),
            lasting: Cell::new(false),
            raised: Cell::new(false),
        }
    }

    /// DIB's build folder.
    pub fn build(&self) -> &Utf8Path {
        &self.site.build
    }

    /// The folder the command was given in.
    pub fn directory(&self) -> &Utf8Path {
        &self.site.plan.directory
    }

    /// Seconds for which a step that may ask the network is reused.
    pub fn max_age(&self) -> u64 {
        self.site.plan.max_age
    }

    /// The size of the disk, bytes: DIB tells it from the phase block-device on, in KiB.
    pub fn tell_size(&self, size: u64) {
        self.devices.borrow_mut().insert("DIB_IMAGE_SIZE".to_owned(), (size >> 10).to_string());
    }

    /// What comes with the disk: variables, and the nodes that commands in the image see.
    pub fn attach(&self, variables: BTreeMap<String, String>, nodes: Vec<Utf8PathBuf>) {
        self.devices.borrow_mut().extend(variables);
        *self.nodes.borrow_mut() = nodes;
        self.leave_mounts_behind();
    }

    /// Forgets the mounts of hooks: the tree is finished but for the boot loader.
    pub fn leave_mounts_behind(&self) {
        self.carried.borrow_mut().clear();
    }

    /// From now on the tree is the attached disk, mounted for all hooks to come.
    pub fn stay(&self) {
        self.raised.set(false);
        self.lasting.set(true);
    }

    fn raise_kernel_file_systems(&self) -> Result<(), BuildError> {
        let mounted = mount_table::kernel_file_systems(&self.site.tree());
        mounted.map_err(BuildError::system("mount the kernel's file systems in the tree"))?;
        self.raised.set(true);
        Ok(())
    }

    /// Takes the kernel's file systems out of the tree.
    pub fn lower(&self) -> Result<(), BuildError> {
        let failed = BuildError::system("unmount the kernel's file systems in the tree");
        self.raised.set(false);
        mount_table::clear_kernel_file_systems(&self.site.tree()).map_err(failed)
    }

    /// The steps of `phase` as they are now: hooks that earlier ones brought come in, those that are gone fall out. The build
    /// folder must be mounted.
    pub fn actual(&self, phase: Phase, plan: &Plan) -> Result<Vec<Step>, BuildError> {
        let planned = plan.steps.iter().filter(|step| step.phase == phase).cloned();
        let names = self.site.plan.environment.get("RUN_PARTS_REGEX").map(String::as_str);
        let found = hook::listing::hooks(&self.site.hooks(), phase, names)?;
        let mut steps: Vec<Step> = Vec::new();
        let mut known: Vec<String> = Vec::new();
        for step in planned {
            if let plan::Action::ShellHook { name, .. } = &step.action {
                if !found.contains(name) {
                    self.site.events.info(format!("{}/{name} is not there any more", phase.directory()));
                    continue;
                }
                known.push(name.clone());
            }
            steps.push(step);
        }
        let mut brought: Vec<&String> = found.iter().filter(|name| !known.contains(name)).collect();
        brought.sort_by(|one, other| hook::listing::order(one, other));
        for name in brought {
            self.site.events.info(format!("{}/{name} was brought by an earlier hook", phase.directory()));
            let file = self.site.hooks().join(phase.directory()).join(name);
            let interpreter = plan::interpreter::of(&file).unwrap_or_default();
            let action = plan::Action::ShellHook { name: name.clone(), place: plan::Place::of(phase), interpreter };
            let id = format!("{phase}/{name}");
            let mut step = Step { id, phase, element: None, inputs: String::new(), action };
            step.inputs = plan::of_found_step(&step, plan);
            // Before the first hook that comes after it; the program's own stages around the hooks stay where they are.
            let is_later = |other: &Step| is_hook(other) && hook::listing::order(other.key(), name).is_gt();
            let last = steps.iter().rposition(is_hook).map_or(first_place(&steps), |at| at + 1);
            let at = steps.iter().position(is_later).unwrap_or(last);
            steps.insert(at, step);
        }
        Ok(steps)
    }

    /// Forgets what belongs to one phase, after telling how long its hooks took.
    pub fn end_phase(&self, phase: Phase) {
        let times = std::mem::take(&mut *self.times.borrow_mut());
        if times.is_empty() {
            return;
        }
        for line in transcript::profile(&phase.directory(), &times) {
            self.site.events.output(line);
        }
    }

    /// Takes note of a hook whose layer came from the store.
    pub fn reused(&self, step: &Step, stack: &Stack) {
        let Some(note) = stack.files().map(|files| files.join(MOUNTS)) else { return };
        if let Ok(text) = fs::read(note)
            && matches!(step.action, plan::Action::ShellHook { .. })
        {
            *self.carried.borrow_mut() = serde_json::from_slice(&text).unwrap_or_default();
        }
    }

    /// Brings the hooks folder together.
    pub fn collect(&self, plan: &Plan) -> Result<(), BuildError> {
        let runner = self.site.library.join("dib-run-parts");
        let (folders, left_out) = (plan.element_folders(), &self.site.plan.left_out);
        hook::collect::collect(&folders, left_out, &runner, &self.site.hooks(), &self.site.events)?;
        hook::collect::parameters(&self.site, plan)?;
        Ok(())
    }

    /// Looks whether the root phase made a tree, and prepares it for the phases to come.
    pub fn settle(&self) -> Result<(), BuildError> {
        let tree = self.site.tree();
        hook::collect::require_root(&tree)?;
        hook::collect::install_type(&self.site)?;
        Ok(hook::name_servers::lend(&tree)?)
    }

    /// Gives the tree its own name servers back.
    pub fn take_back_name_servers(&self) -> Result<(), BuildError> {
        Ok(hook::name_servers::take_back(&self.site.tree(), &self.site.build)?)
    }

    /// Runs the hook of `step`.
    pub fn run(&self, step: &Step, name: &str, place: plan::Place, at: Place<'_>) -> Result<(), BuildError> {
        let phase = step.phase;
        let label = format!("{}/{name}", phase.directory());
        self.raise(phase, place)?;
        let inside = match place {
            plan::Place::Image => Some(self.image(&label)?),
            plan::Place::Host => None,
        };
        let chroot = inside.as_ref().map(Image::chroot);
        let mut environment = self.environment(phase, chroot)?;
        if let Some(inside) = &inside {
            inside.lend(&mut environment);
        }
        let limits = Limits::of(&self.site, step.element.as_deref(), &self.nodes.borrow())?;
        // Hooks that make the tree install into it from outside. What runs inside gets a turn for each call of apt.
        let installs = place == plan::Place::Host && phase == Phase::Root;
        let turn = installs.then(|| distro::turn(&self.carried.borrow(), &self.site.events)).flatten();
        let ran = run::run(&self.site, phase, name, chroot, &environment, &limits);
        // A user may stay long in the shell after an error.
        drop(turn);
        match ran {
            Ok(ran) => {
                self.times.borrow_mut().push((name.to_owned(), ran.time));
                if phase == Phase::BlockDevice {
                    self.take_printed(&label, &ran.stdout)?;
                }
            }
            Err(error) => {
                self.stop_after_error(chroot, &environment);
                return Err(error.into());
            }
        }
        inside.map_or(Ok(()), Image::leave)?;
        if phase >= Phase::PreFinalise {
            // Before that the tree is copied to the disk under DIB, without flags.
            hook::name_servers::note_immutable(&self.site.tree(), &self.site.build)?;
        }
        if place == plan::Place::Host && phase <= Phase::PostRoot {
            self.note_mounts(at.files)?;
        }
        Ok(())
    }

    /// Takes the variables that a hook of block-device.d printed. They are noted in the build folder too, which what is above
    /// depends on.
    fn take_printed(&self, label: &str, output: &[u8]) -> Result<(), BuildError> {
        let found = printed::assignments(output);
        if found.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.site.events.warn(format!(
            "{label} printed {}: the hooks after it see that, but nothing of it is run, and the disk is still made from the \
             block-device description; this way is deprecated, describe the disk there",
            lines.join(" ")
        ));
        let note = self.site.build.join("states/block-device/printed");
        fs::write(&note, lines.join("\n")).map_err(BuildError::system(format!("write {note}")))?;
        self.printed.borrow_mut().extend(found);
        self.environments.borrow_mut().clear();
        Ok(())
    }

    /// Installs or removes packages with the image's own tool.
    pub fn packages(&self, step: &Step, map: Option<&str>, names: &[String], remove: bool) -> Result<(), BuildError> {
        self.raise(step.phase, plan::Place::Image)?;
        let inside = self.image(&step.id)?;
        let chroot = inside.chroot();
        // `-p`, which has no map, never sees environment.d: part of DIB's interface.
        let mut environment = match map {
            Some(_) => self.environment(step.phase, Some(chroot))?,
            None => self.plain_environment(step.phase, Some(chroot)),
        };
        inside.lend(&mut environment);
        let limits = Limits::on_files(&self.site, &self.nodes.borrow())?;
        let result = hook::install_packages::run(&self.site, chroot, &environment, map, names, remove, &limits);
        if result.is_err() {
            self.stop_after_error(Some(chroot), &environment);
        }
        result?;
        inside.leave()
    }

    /// The image's own tool for packages, and the image while it is used.
    pub fn tool(&self, step: &Step) -> Result<(Tool, Image), BuildError> {
        self.raise(step.phase, plan::Place::Image)?;
        let inside = self.image(&step.id)?;
        let mut environment = self.environment(step.phase, Some(inside.chroot()))?;
        inside.lend(&mut environment);
        let limits = Limits::on_files(&self.site, &self.nodes.borrow())?;
        Ok((Tool::new(inside.chroot(), environment.variables, limits, &self.site.events), inside))
    }

    /// The image as commands of the step `label` find it.
    fn image(&self, label: &str) -> Result<Image, BuildError> {
        Image::new(run::chroot(&self.site, label, &self.nodes.borrow())?, &self.site.tree())
    }

    /// Opens a shell for the user.
    pub fn stop(&self, step: &Step, point: &str, command: &str, place: plan::Place) -> Result<(), BuildError> {
        self.raise(step.phase, place)?;
        let inside = match place {
            plan::Place::Image => Some(run::chroot(&self.site, point, &self.nodes.borrow())?),
            plan::Place::Host => None,
        };
        let chroot = inside.as_ref().map(|inside| &inside.chroot);
        let environment = self.plain_environment(step.phase, chroot);
        let stop = Stop { point, command, chroot, environment: &environment };
        breakpoint::stop(&stop, self.terminal.as_ref(), &self.site.events);
        Ok(())
    }

    /// Variables as the hooks of `phase` see them outside the image, for stages that read them.
    pub fn variables(&self, phase: Phase) -> Result<BTreeMap<String, String>, BuildError> {
        Ok(self.environment(phase, None)?.variables)
    }

    /// Variables that `environment.d` sets in `phase`, for scripts to read.
    pub fn declared(&self, phase: Phase) -> Result<BTreeMap<String, String>, BuildError> {
        let before = environment::core(&self.site, phase, plan::Place::Host, &self.devices.borrow());
        // What every shell sets for itself says nothing of the elements.
        let own = |name: &str| ["_", "SHLVL", "PWD", "OLDPWD"].contains(&name);
        let mut variables = self.variables(phase)?;
        variables.retain(|name, value| !own(name) && before.get(name) != Some(value));
        Ok(variables)
    }

    fn stop_after_error(&self, chroot: Option<&Chroot>, environment: &Environment) {
        let breakpoints = &self.site.plan.breakpoints;
        if !breakpoints.wants("after-error") {
            return;
        }
        let command = breakpoints.command.as_deref().unwrap_or("bash");
        let host = Environment { directory: self.site.plan.directory.clone(), ..environment.clone() };
        let (chroot, environment) = if breakpoints.outside_target { (None, &host) } else { (chroot, environment) };
        let stop = Stop { point: "after-error", command, chroot, environment };
        breakpoint::stop(&stop, self.terminal.as_ref(), &self.site.events);
    }

    fn environment(&self, phase: Phase, chroot: Option<&Chroot>) -> Result<Environment, HookError> {
        let key = (phase, chroot.is_some());
        if let Some(known) = self.environments.borrow().get(&key) {
            return Ok(known.clone());
        }
        let limits = Limits::of(&self.site, None, &self.nodes.borrow())?;
        let made = environment::evaluate(&self.site, phase, chroot, &self.told(), &limits)?;
        self.environments.borrow_mut().insert(key, made.clone());
        Ok(made)
    }

    /// What hooks are told of the disk; what a hook printed of it comes before what the program says.
    fn told(&self) -> BTreeMap<String, String> {
        let mut told = self.devices.borrow().clone();
        told.extend(self.printed.borrow().clone());
        told
    }

    fn plain_environment(&self, phase: Phase, chroot: Option<&Chroot>) -> Environment {
        let (place, directory) = match chroot {
            Some(_) => (plan::Place::Image, Utf8PathBuf::from("/")),
            None => (plan::Place::Host, self.site.plan.directory.clone()),
        };
        let variables = environment::core(&self.site, phase, place, &self.told());
        Environment::plain(variables, directory)
    }

    /// Mounts in the step's tree what hooks of `phase` expect there.
    fn raise(&self, phase: Phase, place: plan::Place) -> Result<(), BuildError> {
        if self.lasting.get() {
            // On the attached disk mounts of hooks stay; the kernel's go while a hook has its own in the image.
            let (want, have) = (place == plan::Place::Host, self.raised.get());
            return match (want, have) {
                (true, false) => self.raise_kernel_file_systems(),
                (false, true) => self.lower(),
                _ => Ok(()),
            };
        }
        let tree = self.site.tree();
        if place == plan::Place::Host && phase > Phase::Root {
            self.raise_kernel_file_systems()?;
        }
        for mounted in &*self.carried.borrow() {
            mount_table::again(mounted, &tree)
                .map_err(BuildError::system("mount again what an earlier hook mounted"))?;
        }
        Ok(())
    }

    /// Remembers the mounts that a hook left in the tree.
    fn note_mounts(&self, files: &Utf8Path) -> Result<(), BuildError> {
        let failed = |error| BuildError::system("look at the mounts that a hook left")(error);
        let ours = ["proc", "dev", "sys"];
        let mut mounts = mount_table::below(&self.site.tree()).map_err(failed)?;
        mounts.retain(|mounted| !ours.iter().any(|folder| mounted.inside.starts_with(folder)));
        let text = serde_json::to_vec(&mounts).map_err(std::io::Error::from).map_err(failed)?;
        fs::write(files.join(MOUNTS), text).map_err(failed)?;
        *self.carried.borrow_mut() = mounts;
        Ok(())
    }
}

/// What stands in the numeric order of a phase.
fn is_hook(step: &Step) -> bool {
    use plan::Action;
    matches!(
        step.action,
        Action::ShellHook { .. }
            | Action::Script { .. }
            | Action::BuiltIn { .. }
            | Action::InstallPackages { map: Some(_), .. }
    )
}

/// Where hooks begin in a phase that has none yet: after the stages that come before hooks.
fn first_place(steps: &[Step]) -> usize {
    use plan::Action;
    let before = |step: &Step| match &step.action {
        Action::Bootstrap { .. } | Action::CollectHooks | Action::Initramfs => true,
        Action::Break { point, .. } => point.starts_with("before-"),
        _ => false,
    };
    steps.iter().position(|step| !before(step)).unwrap_or(steps.len())
}
