//! The build: phase by phase to a finished tree, then to files. Reads like a table of contents.

use std::time::Instant;

use camino::Utf8PathBuf;

use super::child::{Site, elapsed};
use super::error::BuildError;
use super::ground::Ground;
use super::hooks::Hooks;
use super::image::Image;
use super::memory;
use super::stack::Stack;
use super::stand_in;
use super::work::Worker;
use crate::boot::BootFiles;
use crate::disk::veritytab;
use crate::event::{Artifact, Event, Events, Failure};
use crate::format::Source;
use crate::hook;
use crate::plan::{Action, Phase, Plan, Step};
use crate::sandbox::interactive::Terminal;
use crate::sandbox::overlay::Overlay;
use crate::store::builtin;
use crate::store::layers::Layers;

/// Bytes of layers that a store may hold after a build.
const LAYER_LIMIT: u64 = 20 << 30;

/// DIB's build folder in the store. As there, its name has a dot and nothing below has: elements take what is between the last dot
/// and the last slash of `TMP_MOUNT_PATH` for the name of the build.
const BUILD_FOLDER: &str = "dib_build.kiln";

/// Set to anything, this variable lets hooks meet the host's own debootstrap.
const HOST_TOOLS: &str = "KILN_HOST_TOOLS";

/// Runs `plan`.
pub fn bake(plan: &Plan, site: &Site, events: &Events) -> Result<(), Box<Failure>> {
    let in_memory = memory::mount(plan, site, events);
    let baked = bake_there(plan, site, events);
    if in_memory && baked.is_err() {
        memory::warn_when_full(site, events);
    }
    baked
}

fn bake_there(plan: &Plan, site: &Site, events: &Events) -> Result<(), Box<Failure>> {
    // Layers that nobody may reuse stay in the work folder and go with it.
    let shelf = if site.reuse { &site.store } else { &site.work };
    let layers = Layers::open(shelf).map_err(BuildError::system(format!("open the store at {shelf}")));
    let layers = layers.map_err(|error| Box::new(error.into_failure()))?;
    let hooks = hooks(plan, site, events).map_err(|error| Box::new(error.into_failure()))?;
    let image = Image { plan, site, events };
    let worker = Worker::new(image, hooks.as_ref()).map_err(|error| Box::new(error.into_failure()))?;
    let mut stack = Stack::new(layers.clone(), site.reuse, &site.work, hooks.as_ref().map(Hooks::build));
    for phase in Phase::ALL {
        let steps = steps(phase, plan, hooks.as_ref(), &stack).map_err(stage(phase.as_str()))?;
        if let (Some(hooks), Phase::BlockDevice) = (&hooks, phase) {
            tell_size(&image, hooks, &stack).map_err(stage(phase.as_str()))?;
        }
        run_phase(phase, &steps, &worker, &mut stack, events)?;
        if let Some(hooks) = &hooks {
            hooks.end_phase(phase);
            if phase == Phase::PostRoot {
                hooks.leave_mounts_behind();
            }
        }
    }
    let boot_files = worker.boot_files();
    let keys = stack.keys().to_vec();
    let artifacts = match stack.take_ground() {
        Some(ground) => from_disk(&image, ground, boot_files.as_ref())?,
        None => from_tree(&image, &stack, boot_files.as_ref())?,
    };
    if site.reuse {
        layers.prune(LAYER_LIMIT, &keys);
    }
    for artifact in artifacts {
        events.send(Event::Artifact(artifact));
    }
    Ok(())
}

/// Tells hooks how large the disk is. Without a size that was asked for, the tree is measured as it is now: where no disk is
/// attached, what later hooks add comes on top.
fn tell_size(image: &Image<'_>, hooks: &Hooks<'_>, stack: &Stack) -> Result<(), BuildError> {
    let is_heard = |step: &Step| step.phase >= Phase::BlockDevice && matches!(step.action, Action::ShellHook { .. });
    if !image.plan.steps.iter().any(is_heard) {
        return Ok(());
    }
    let size = match image.size_asked_for() {
        Some(size) => size,
        None => {
            let tree = stack.mount(&image.site.work.join("measured"))?;
            let size = image.size(tree.path())?;
            tree.unmount().map_err(BuildError::system("unmount the measured tree"))?;
            size
        }
    };
    hooks.tell_size(size);
    Ok(())
}

/// Makes the outputs of the finished tree.
fn from_tree(image: &Image<'_>, stack: &Stack, boot_files: Option<&BootFiles>) -> Result<Vec<Artifact>, Box<Failure>> {
    let events = image.events;
    let tree = mount_finished(image, stack).map_err(stage("disk"))?;
    let raw = timed("disk", events, || {
        if !image.needs_raw()? {
            return Ok(None);
        }
        let raw = image.write_raw(tree.path())?;
        image.install_boot_code(&raw, boot_files)?;
        Ok(Some(raw))
    });
    let raw = raw.map_err(stage("disk"))?;
    let made = timed("formats", events, || {
        let mut made = image.write_formats(tree.path(), raw.as_ref())?;
        if let Some(raw) = &raw {
            made.extend(image.write_root_hashes(raw)?);
        }
        Ok(made)
    });
    let made = made.map_err(stage("formats"))?;
    tree.unmount().map_err(|error| stage("formats")(BuildError::system("unmount the finished tree")(error)))?;
    Ok(made)
}

/// The finished tree, to be read; or written to apart from all layers, where it has to name what is known only of the image.
fn mount_finished(image: &Image<'_>, stack: &Stack) -> Result<Overlay, BuildError> {
    let (at, layout) = (image.site.work.join("root"), image.plan.provisional_layout()?);
    match layout.verity.iter().any(|verity| veritytab::names(&layout, verity)) {
        true => stack.mount_apart(&at, &image.site.work.join("hashes")),
        false => stack.mount(&at),
    }
}

/// Makes the outputs of the disk that the tree has become: what is made from a tree while it is mounted, the rest when it is not.
fn from_disk(image: &Image<'_>, ground: Ground, boot_files: Option<&BootFiles>) -> Result<Vec<Artifact>, Box<Failure>> {
    let events = image.events;
    let tree = ground.tree().to_owned();
    let of_tree = timed("formats", events, || image.write_formats_of(Source::Tree, &tree, None, &ground.parts()));
    let mut made = of_tree.map_err(stage("formats"))?;
    let raw = timed("disk", events, || {
        let raw = ground.finish(image.plan.source_date_epoch, events)?;
        image.install_boot_code(&raw, boot_files)?;
        Ok(raw)
    });
    let raw = raw.map_err(stage("disk"))?;
    let of_raw = timed("formats", events, || image.write_formats_of(Source::Raw, &tree, Some(&raw), &[]));
    made.extend(of_raw.map_err(stage("formats"))?);
    Ok(made)
}

/// What a failure of a stage after the last phase is told as.
fn stage(name: &'static str) -> impl FnOnce(BuildError) -> Box<Failure> {
    move |error| Box::new(Failure { phase: Some(name.into()), ..error.into_failure() })
}

/// What runs shell hooks, when the plan has any.
fn hooks<'a>(plan: &'a Plan, site: &Site, events: &Events) -> Result<Option<Hooks<'a>>, BuildError> {
    let Some(shell) = &plan.shell else { return Ok(None) };
    let failed = |error| BuildError::system("prepare for shell hooks")(error);
    let program = std::env::current_exe().map_err(failed)?;
    let program = Utf8PathBuf::from_path_buf(program)
        .map_err(|path| failed(std::io::Error::other(format!("the path {} is not UTF-8", path.display()))))?;
    let wants_hosts = shell.environment.get(HOST_TOOLS).is_some_and(|value| !value.is_empty());
    if !wants_hosts {
        stand_in::put(&program, &site.store, &site.work).map_err(failed)?;
    }
    let hook_site = hook::Site {
        plan: shell,
        build: site.store.join(BUILD_FOLDER),
        images: site.work.clone(),
        library: builtin::shell_library(&site.store).map_err(failed)?,
        program,
        events: events.clone(),
    };
    let terminal = site.terminal.as_deref().map(Terminal::named).transpose().map_err(failed)?;
    Ok(Some(Hooks::new(hook_site, terminal)))
}

/// The steps of `phase` as they are when it begins.
fn steps(phase: Phase, plan: &Plan, hooks: Option<&Hooks<'_>>, stack: &Stack) -> Result<Vec<Step>, BuildError> {
    let Some(hooks) = hooks.filter(|_| phase > Phase::Root) else {
        return Ok(plan.steps.iter().filter(|step| step.phase == phase).cloned().collect());
    };
    if stack.is_grounded() {
        // The build folder is mounted for good.
        return hooks.actual(phase, plan);
    }
    let view = stack.mount_build(hooks.build(), None)?;
    let steps = hooks.actual(phase, plan);
    view.unmount().map_err(BuildError::system("unmount the build folder"))?;
    steps
}

fn run_phase(
    phase: Phase,
    steps: &[Step],
    worker: &Worker<'_>,
    stack: &mut Stack,
    events: &Events,
) -> Result<(), Box<Failure>> {
    if steps.is_empty() {
        return Ok(());
    }
    events.send(Event::PhaseStarted { phase: phase.as_str().into(), steps: steps.len() });
    let begun = Instant::now();
    for step in steps {
        events.send(Event::StepStarted { id: step.id.clone(), title: step.title() });
        let laid = worker.run(step, stack).map_err(|error| {
            Box::new(Failure {
                element: step.element.clone(),
                step: Some(step.id.clone()),
                phase: Some(phase.as_str().into()),
                ..error.into_failure()
            })
        })?;
        events.send(Event::StepFinished { id: step.id.clone(), milliseconds: laid.milliseconds, reused: laid.reused });
    }
    events.send(Event::PhaseFinished { phase: phase.as_str().into(), milliseconds: elapsed(begun) });
    Ok(())
}

/// Runs a stage after the last phase, told as a phase of one step.
fn timed<T>(name: &str, events: &Events, run: impl FnOnce() -> Result<T, BuildError>) -> Result<T, BuildError> {
    events.send(Event::PhaseStarted { phase: name.into(), steps: 1 });
    let begun = Instant::now();
    let result = run()?;
    events.send(Event::PhaseFinished { phase: name.into(), milliseconds: elapsed(begun) });
    Ok(result)
}
