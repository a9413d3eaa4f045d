//! The build: phase by phase to a finished tree, then to files. Reads like a table of contents.

use std::time::Instant;

use super::child::{Site, elapsed};
use super::error::BuildError;
use super::image::Image;
use super::stack::Stack;
use super::work::Worker;
use crate::event::{Event, Events, Failure};
use crate::plan::{Phase, Plan, Step};
use crate::store::layers::Layers;

/// Bytes of layers that a store may hold after a build.
const LAYER_LIMIT: u64 = 20 << 30;

/// Runs `plan`.
pub fn bake(plan: &Plan, site: &Site, events: &Events) -> Result<(), Box<Failure>> {
    let stage = |name: &'static str| {
        move |error: BuildError| Box::new(Failure { phase: Some(name.into()), ..error.into_failure() })
    };
    // Layers that nobody may reuse stay in the work folder and go with it.
    let shelf = if site.reuse { &site.store } else { &site.work };
    let layers = Layers::open(shelf).map_err(BuildError::system(format!("open the store at {shelf}")));
    let layers = layers.map_err(|error| Box::new(error.into_failure()))?;
    let worker = Worker::new(plan, &site.store, events).map_err(|error| Box::new(error.into_failure()))?;
    let mut stack = Stack::new(layers.clone(), site.reuse, &site.work);
    for phase in Phase::ALL {
        run_phase(phase, plan, &worker, &mut stack, events)?;
    }
    let tree = stack.mount().map_err(stage("disk"))?;
    let image = Image { plan, site, tree: tree.path(), boot_files: worker.boot_files(), events };
    let raw = timed("disk", events, || image.write_disk()).map_err(stage("disk"))?;
    let artifacts = timed("formats", events, || image.write_formats(raw)).map_err(stage("formats"))?;
    tree.unmount().map_err(|error| stage("formats")(BuildError::system("unmount the finished tree")(error)))?;
    if site.reuse {
        layers.prune(LAYER_LIMIT, stack.keys());
    }
    for artifact in artifacts {
        events.send(Event::Artifact(artifact));
    }
    Ok(())
}

fn run_phase(
    phase: Phase,
    plan: &Plan,
    worker: &Worker<'_>,
    stack: &mut Stack,
    events: &Events,
) -> Result<(), Box<Failure>> {
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == phase).collect();
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
