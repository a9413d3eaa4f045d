//! What each action of a plan does to the tree.
//!
//! In: a step and the stack. Out: its layer on the stack. Each arm is a call into the room that knows how.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};

use super::child::elapsed;
use super::error::BuildError;
use super::facts::facts;
use super::ground::Ground;
use super::hooks::Hooks;
use super::image::Image;
use super::inside;
use super::outside::Outer;
use super::stack::{Laid, Place, Reuse, Stack};
use super::tidy;
use crate::boot::{self, BootFiles};
use crate::disk::layout::Layout;
use crate::distro;
use crate::event::Events;
use crate::plan::{self, Action, Phase, Plan, PlannedElement, Step};
use crate::plumbing;
use crate::sandbox::chroot::Chroot;
use crate::script::{self, Effect};
use crate::store::Store;
use crate::target::{Facts, Packages, tree::Tree};

/// Carries out actions.
pub struct Worker<'a> {
    plan: &'a Plan,
    hooks: Option<&'a Hooks<'a>>,
    image: Image<'a>,
    store: Store,
    layout: Layout,
    facts: Facts,
    events: &'a Events,
    /// State of the archive that the bootstrap saw: part of the key of whatever may install packages later.
    archive: OnceCell<String>,
    boot_files: RefCell<Option<BootFiles>>,
}

impl<'a> Worker<'a> {
    /// A worker for `plan`.
    pub fn new(image: Image<'a>, hooks: Option<&'a Hooks<'a>>) -> Result<Self, BuildError> {
        let Image { plan, site, events } = image;
        let layout = plan.provisional_layout()?;
        Ok(Self {
            plan,
            hooks,
            image,
            store: Store::open(&site.store)?,
            facts: facts(plan, &layout),
            layout,
            events,
            archive: OnceCell::new(),
            boot_files: RefCell::new(None),
        })
    }

    /// What the boot loader's step made, when there was one.
    pub fn boot_files(&self) -> Option<BootFiles> {
        self.boot_files.borrow().clone()
    }

    /// Puts the layer of `step` on `stack`.
    pub fn run(&self, step: &Step, stack: &mut Stack) -> Result<Laid, BuildError> {
        let inputs = step.inputs.as_str();
        match &step.action {
            Action::Bootstrap { manager, options, packages } => self.bootstrap(step, stack, manager, options, packages),
            Action::Script { file, function } => {
                let archive = self.archive_of(step);
                stack.lay(&step.id, &[inputs, archive], Reuse::ByKey, |place| self.script(step, file, function, place))
            }
            Action::RemovePackages { packages } => {
                stack.lay(&step.id, &[inputs], Reuse::ByKey, |place| Ok(self.packages(place.root)?.remove(packages)?))
            }
            Action::FileSystemTable => {
                stack.lay(&step.id, &[inputs], Reuse::ByKey, |place| tidy::write_fstab(place.root, &self.layout))
            }
            Action::Initramfs => stack.lay(&step.id, &[inputs], Reuse::ByKey, |place| {
                Ok(distro::initramfs(&self.plan.system.package_manager, place.root, self.events)?)
            }),
            Action::BootLoader { kind } => {
                let laid = stack.lay(&step.id, &[inputs], Reuse::ByKey, |place| {
                    let chroot = Chroot::new(place.root);
                    let made = boot::configure(kind, &chroot, &self.layout, &self.plan.arch, place.files, self.events)?;
                    keep_boot_files(&made, place.files)
                })?;
                *self.boot_files.borrow_mut() = stack.files().map(|folder| kept_boot_files(&folder)).transpose()?;
                Ok(laid)
            }
            Action::Tidy => {
                if let (Some(hooks), true) = (self.hooks, stack.is_grounded()) {
                    hooks.lower()?;
                }
                stack.lay(&step.id, &[inputs], Reuse::ByKey, |place| tidy::tidy(place.root))
            }
            Action::AttachDisk => {
                let begun = Instant::now();
                let ground = Ground::new(stack, &self.image, self.hooks()?)?;
                stack.stand_on(ground);
                Ok(Laid { milliseconds: elapsed(begun), reused: false })
            }
            _ => self.hook(step, stack),
        }
    }

    /// Runs a step that belongs to DIB's interface.
    fn hook(&self, step: &Step, stack: &mut Stack) -> Result<Laid, BuildError> {
        let hooks = self.hooks()?;
        let inputs = step.inputs.as_str();
        let network = Reuse::Within(hooks.max_age());
        match &step.action {
            Action::CollectHooks => stack.lay(&step.id, &[inputs], Reuse::ByKey, |_| {
                self.all_unchanged()?;
                hooks.collect(self.plan)?;
                self.all_unchanged()
            }),
            Action::ShellHook { name, place, .. } => {
                let reuse = match (place, step.phase) {
                    // A tree that hooks make costs minutes; what comes from the host costs little, and may have changed.
                    (plan::Place::Host, Phase::Root) | (plan::Place::Image, _) => network,
                    _ => Reuse::ByContent,
                };
                let laid = stack.lay(&step.id, &[inputs], reuse, |at| hooks.run(step, name, *place, at))?;
                if laid.reused {
                    hooks.reused(step, stack);
                }
                Ok(laid)
            }
            Action::BuiltIn { name } => {
                let reuse = match plan::Place::of(step.phase) {
                    plan::Place::Image => Reuse::ByKey,
                    plan::Place::Host => Reuse::ByContent,
                };
                stack.lay(&step.id, &[inputs], reuse, |at| self.built_in(step, name, at))
            }
            Action::InstallPackages { map, packages, remove } => {
                stack.lay(&step.id, &[inputs], network, |_| hooks.packages(step, map.as_deref(), packages, *remove))
            }
            Action::SettleRoot => stack.lay(&step.id, &[inputs], Reuse::ByContent, |_| hooks.settle()),
            Action::RestoreNameServers => {
                stack.lay(&step.id, &[inputs], Reuse::ByKey, |_| hooks.take_back_name_servers())
            }
            Action::Break { point, command, place } => {
                stack.lay(&step.id, &[inputs], Reuse::ByContent, |_| hooks.stop(step, point, command, *place))
            }
            _ => Err(BuildError::system(format!("run the step {}", step.id))(std::io::Error::other("not a hook"))),
        }
    }

    fn hooks(&self) -> Result<&Hooks<'a>, BuildError> {
        let missing = || std::io::Error::other("the plan says nothing of shell hooks");
        self.hooks.ok_or_else(|| BuildError::system("run hooks")(missing()))
    }

    /// Carries out a stage that the program does for an element.
    fn built_in(&self, step: &Step, name: &str, at: Place<'_>) -> Result<(), BuildError> {
        let hooks = self.hooks()?;
        let variables = hooks.variables(step.phase)?;
        let elements = self.plan.element_folders();
        let value = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        // Of a tree that hooks make, environment.d says what it is.
        let system = &self.plan.system;
        let distribution = value("DISTRO_NAME").unwrap_or(&system.distribution);
        let release = value("DIB_RELEASE").unwrap_or(&system.release);
        let hooks_folder = hooks.build().join("hooks");
        Ok(plumbing::run(
            name,
            &plumbing::Site {
                root: at.root,
                hooks: &hooks_folder,
                elements: &elements,
                variables: &variables,
                distribution,
                family: plumbing::family(distribution).unwrap_or(&system.family),
                release,
                arch: &self.plan.arch,
                image_name: &self.plan.name,
                directory: hooks.directory(),
                offline: value("DIB_OFFLINE").is_some(),
                events: self.events,
            },
        )?)
    }

    /// Refuses elements that are not what was planned any more.
    fn all_unchanged(&self) -> Result<(), BuildError> {
        self.plan.elements.iter().try_for_each(|element| self.unchanged(element))
    }

    fn bootstrap(
        &self,
        step: &Step,
        stack: &mut Stack,
        manager: &str,
        options: &BTreeMap<String, String>,
        packages: &[String],
    ) -> Result<Laid, BuildError> {
        let context = self.distro_context(options.clone(), packages.to_vec());
        let bootstrap = distro::bootstrap(manager, &context, &self.store)?;
        let resolution = bootstrap.resolve(self.events)?;
        // Set once: a plan has one bootstrap.
        let _ = self.archive.set(resolution.archive.clone());
        stack.lay(&step.id, &[&step.inputs, &resolution.digest], Reuse::ByKey, |place| {
            Ok(bootstrap.install(&resolution, place.root, self.events)?)
        })
    }

    fn script(&self, step: &Step, file: &Utf8Path, function: &str, place: Place<'_>) -> Result<(), BuildError> {
        let element = self.element(step);
        let facts = self.facts_now(step)?;
        let call = script::run::Call { element, file: file.to_owned(), function: function.to_owned(), facts };
        self.unchanged(&call.element)?;
        // On a tree that hooks made, packages are what the image's own tool makes of them.
        let (packages, inside): (Arc<dyn Packages>, _) = match self.hooks {
            Some(_) if self.foreign(place.root).is_some() => {
                (self.packages_of(self.foreign(place.root).unwrap_or_default(), place.root)?, None)
            }
            Some(hooks) if self.plan.system.package_manager.is_empty() => {
                let (tool, inside) = hooks.tool(step)?;
                (Arc::new(tool), Some(inside))
            }
            _ => (self.packages(place.root)?, None),
        };
        let outside = Outer {
            store: self.store.clone(),
            variables: self.plan.variables.clone(),
            offline: self.image.site.offline,
            secrets: self.image.site.secrets.clone(),
            events: self.events.clone(),
        };
        let tree = Tree::new(place.root, packages, self.events.clone())?.with_outside(Arc::new(outside));
        let effects = script::run::run(&call, Arc::new(tree), self.events);
        self.disk_as_planned(step, &effects.map_err(|failed| BuildError::Script(Box::new(failed)))?)?;
        inside.map_or(Ok(()), inside::Image::leave)?;
        self.unchanged(&call.element)
    }

    /// Refuses a description of the disk that is not the one that was planned: a function that looks at the tree sees another one
    /// when planning.
    fn disk_as_planned(&self, step: &Step, effects: &[Effect]) -> Result<(), BuildError> {
        let disk = &self.plan.disk;
        let file = disk.origin.strip_suffix(".rhai");
        let described =
            effects.iter().filter(|effect| file.is_some() && script::api::disk::VERBS.contains(&effect.verb.as_str()));
        for node in described.flat_map(|effect| &effect.args) {
            let node = node.to_string();
            if !disk.text.lines().any(|line| line.trim_end_matches(',') == node) {
                return Err(BuildError::DiskChanged { step: step.id.clone(), node });
            }
        }
        Ok(())
    }

    /// The facts of the image. What `environment.d` sets, scripts read too; of a tree that hooks make, it says what it is.
    fn facts_now(&self, step: &Step) -> Result<Facts, BuildError> {
        let mut facts = self.facts.clone();
        let Some(hooks) = self.hooks else { return Ok(facts) };
        facts.variables.extend(hooks.declared(step.phase)?);
        if facts.distribution.is_empty() {
            let variables = hooks.variables(step.phase)?;
            facts.distribution = variables.get("DISTRO_NAME").cloned().unwrap_or_default();
            facts.family = plumbing::family(&facts.distribution).unwrap_or_default().to_owned();
            facts.release = variables.get("DIB_RELEASE").cloned().unwrap_or_default();
        }
        Ok(facts)
    }

    /// Refuses an element that is not what was planned any more: its layer would bear the key of another text.
    fn unchanged(&self, element: &PlannedElement) -> Result<(), BuildError> {
        let now = plan::seen(element).map_err(BuildError::system(format!("read the element {}", element.name)))?;
        match self.plan.seen.get(&element.name) {
            Some(planned) if *planned == now => Ok(()),
            _ => Err(BuildError::Changed { element: element.name.clone() }),
        }
    }

    /// What a script's result may depend on beyond its inputs and the tree: the archive, if it may ask it.
    fn archive_of(&self, step: &Step) -> &str {
        let asks = |grant: &String| grant == "packages" || grant == "network" || grant.starts_with("fetch:");
        let may_ask = self.element(step).permissions.iter().any(asks);
        self.archive.get().filter(|_| may_ask).map_or("", String::as_str)
    }

    fn element(&self, step: &Step) -> PlannedElement {
        let name = step.element.as_deref().unwrap_or_default();
        let found = self.plan.elements.iter().find(|element| element.name == name);
        found.cloned().unwrap_or_else(|| PlannedElement {
            name: name.to_owned(),
            directory: Utf8PathBuf::new(),
            permissions: Vec::new(),
            options: BTreeMap::new(),
        })
    }

    /// The package manager of a tree that hooks made and that no element brought `install-packages` into.
    fn foreign(&self, root: &Utf8Path) -> Option<&'static str> {
        let by_hooks = self.plan.system.package_manager.is_empty();
        let tool = root.join("usr/local/bin/install-packages").exists();
        distro::found(root).filter(|_| by_hooks && !tool)
    }

    fn packages(&self, root: &Utf8Path) -> Result<Arc<dyn Packages>, BuildError> {
        self.packages_of(&self.plan.system.package_manager, root)
    }

    fn packages_of(&self, manager: &str, root: &Utf8Path) -> Result<Arc<dyn Packages>, BuildError> {
        let context = self.distro_context(BTreeMap::new(), Vec::new());
        Ok(distro::packages(manager, &context, &self.store, root, self.events.clone())?)
    }

    fn distro_context(&self, options: BTreeMap<String, String>, packages: Vec<String>) -> distro::Context {
        distro::Context {
            arch: self.plan.arch.clone(),
            distribution: self.plan.system.distribution.clone(),
            options,
            variables: self.plan.variables.clone(),
            packages,
        }
    }
}

/// The name of the note of what the boot loader's step made, in the step's folder for side files.
const BOOT_NOTE: &str = "boot.json";

fn keep_boot_files(made: &BootFiles, folder: &Utf8Path) -> Result<(), BuildError> {
    let note = folder.join(BOOT_NOTE);
    let text = serde_json::to_vec(made).map_err(std::io::Error::from);
    text.and_then(|text| fs::write(&note, text)).map_err(BuildError::system(format!("write {note}")))
}

/// Reads the note back. The folder has moved into the store since, and its files with it.
fn kept_boot_files(folder: &Utf8Path) -> Result<BootFiles, BuildError> {
    let note = folder.join(BOOT_NOTE);
    let text = fs::read(&note).map_err(BuildError::system(format!("read {note}")))?;
    let mut files: BootFiles = serde_json::from_slice(&text)
        .map_err(std::io::Error::from)
        .map_err(BuildError::system(format!("understand {note}")))?;
    if let Some(bios) = &mut files.bios {
        for path in [&mut bios.boot_image, &mut bios.core_image] {
            *path = folder.join(path.file_name().unwrap_or_default());
        }
    }
    Ok(files)
}
