//! What scripts may ask about the image that a plan makes.
//!
//! In: a plan and the layout of its disk. Out: [`Facts`]. Not here: what `environment.d` says while hooks run (`work`).

use crate::disk::layout::Layout;
use crate::plan::Plan;
use crate::target::Facts;

/// The facts that are known when the build begins.
pub fn facts(plan: &Plan, layout: &Layout) -> Facts {
    let label = |point: &str| layout.at(point).map(|filesystem| filesystem.label.clone()).unwrap_or_default();
    Facts {
        distribution: plan.system.distribution.clone(),
        family: plan.system.family.clone(),
        release: plan.system.release.clone(),
        arch: plan.arch.clone(),
        image_name: plan.name.clone(),
        root_label: label("/"),
        boot_label: label("/boot"),
        elements: plan.elements.iter().map(|element| element.name.clone()).collect(),
        variables: plan.variables.clone(),
    }
}
