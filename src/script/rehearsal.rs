//! Every Rhai hook of a plan, run in order on an image in memory.
//!
//! In: the plan's elements and steps, facts. Out: what the hooks did, in order, or how far they came and why they stopped.
//! Packages that the plan installs itself are there when the hooks ask; shell hooks and stages of the program do nothing here.
//! Not here: making the plan, showing what came out (`cli/`).

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::effect::Effect;
use super::image::Test;
use super::run::Script;
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::{Action, Phase, PlannedElement, Step};
use crate::target::fake::FakeTarget;
use crate::target::{Facts, Target};

/// One call of a verb, and the phase it happened in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedEffect {
    /// The verb: `write_file`.
    pub verb: String,
    /// Its arguments without the image.
    pub args: Vec<Value>,
    /// The element that called it.
    pub element: String,
    /// The phase of the hook.
    pub phase: Phase,
    /// The file of the call: `vim/element.rhai`.
    pub file: String,
    /// Its line, from 1; 0 when unknown.
    pub line: usize,
}

impl PlannedEffect {
    fn new(effect: Effect, phase: Phase) -> Self {
        let Effect { verb, args, element, file, line } = effect;
        Self { verb, args, element, phase, file, line }
    }
}

/// Runs the scripts among `steps` on `target`. What they did is added to `effects`, also what the failing one did before it
/// failed.
///
/// # Errors
/// Why a hook failed; the ones after it did not run.
pub fn rehearse(
    steps: &[Step],
    elements: &[PlannedElement],
    facts: &Facts,
    target: &FakeTarget,
    events: &Events,
    effects: &mut Vec<PlannedEffect>,
) -> Result<(), Diagnostic> {
    for step in steps {
        match &step.action {
            Action::Bootstrap { packages, .. } | Action::InstallPackages { packages, remove: false, .. } => {
                target.provide(packages);
            }
            Action::RemovePackages { packages } | Action::InstallPackages { packages, .. } => target.withdraw(packages),
            Action::Script { file, function } => {
                let Some(element) = elements.iter().find(|element| step.element.as_ref() == Some(&element.name)) else {
                    continue;
                };
                // No file arranges anything here, and the tests' own verbs do not exist.
                let test = Test { source: String::new(), target: target.clone() };
                let target: Arc<dyn Target> = Arc::new(target.clone());
                let script = Script::new(element, file, facts.clone(), target, events, Some(test))?;
                let ended = script.call(function);
                effects.extend(script.image.effects().into_iter().map(|effect| PlannedEffect::new(effect, step.phase)));
                ended?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The scripts of one element as steps, in the order of `hooks`: phase, file and function of each.
pub fn steps_of(element: &PlannedElement, hooks: &[(Phase, camino::Utf8PathBuf, String)]) -> Vec<Step> {
    hooks
        .iter()
        .map(|(phase, file, function)| Step {
            id: format!("{phase}/{}", element.name),
            phase: *phase,
            element: Some(element.name.clone()),
            inputs: String::new(),
            action: Action::Script { file: file.clone(), function: function.clone() },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::testing;
    use super::*;

    fn run(fixture: &Fixture, functions: &[(Phase, &str)]) -> (Vec<PlannedEffect>, Result<(), Diagnostic>) {
        let file = fixture.element.directory.join("element.rhai");
        let hooks: Vec<_> = functions.iter().map(|(phase, name)| (*phase, file.clone(), (*name).to_owned())).collect();
        let mut effects = Vec::new();
        let ended = rehearse(
            &steps_of(&fixture.element, &hooks),
            std::slice::from_ref(&fixture.element),
            &testing::facts(&fixture.element),
            &fixture.target,
            &Events::none(),
            &mut effects,
        );
        (effects, ended)
    }

    #[test]
    fn effects_come_in_the_order_of_the_hooks_and_later_hooks_see_what_earlier_ones_did() {
        let fixture = Fixture::new(&["write:/srv"]).file(
            "element.rhai",
            "fn install(image) {\n    image.write_file(\"/srv/a\", \"1\");\n}\nfn finalise(image) {\n    image.write_file(\"/srv/b\", image.read_file(\"/srv/a\") + \"2\");\n}\n",
        );
        let (effects, ended) = run(&fixture, &[(Phase::Install, "install"), (Phase::Finalise, "finalise")]);
        ended.unwrap();
        assert_eq!(
            serde_json::to_string(&effects[1]).unwrap(),
            r#"{"verb":"write_file","args":["/srv/b","12"],"element":"vim","phase":"finalise","file":"vim/element.rhai","line":5}"#
        );
        assert_eq!((effects.len(), effects[0].phase), (2, Phase::Install));
    }

    #[test]
    fn what_a_failing_hook_did_is_told_and_the_next_one_does_not_run() {
        let fixture = Fixture::new(&["write:/srv"]).file(
            "element.rhai",
            "fn install(image) { image.write_file(\"/srv/a\", \"1\"); image.write_file(\"/etc/a\", \"1\"); }\nfn finalise(image) { image.write_file(\"/srv/b\", \"\"); }\n",
        );
        let (effects, ended) = run(&fixture, &[(Phase::Install, "install"), (Phase::Finalise, "finalise")]);
        assert_eq!(ended.unwrap_err().code, "permission.denied");
        assert_eq!(effects.len(), 1);
    }

    #[test]
    fn verbs_of_tests_do_not_exist_in_a_rehearsal() {
        let fixture = Fixture::new(&[]).file("element.rhai", "fn install(image) { assert(true); }\n");
        assert_eq!(run(&fixture, &[(Phase::Install, "install")]).1.unwrap_err().code, "script.function");
    }

    #[test]
    fn packages_of_the_plan_are_there_and_go_again() {
        let fixture = Fixture::new(&[]).file(
            "element.rhai",
            "fn install(image) { if image.package_version(\"vim\") == () { image.fail(\"no vim\"); } }\n",
        );
        let file = fixture.element.directory.join("element.rhai");
        let script = steps_of(&fixture.element, &[(Phase::Install, file, "install".into())]);
        let packages = |remove| Action::InstallPackages { map: None, packages: vec!["vim".into()], remove };
        let step = |remove| Step { action: packages(remove), element: None, ..script[0].clone() };
        let rehearsed = |steps: &[Step]| {
            let facts = testing::facts(&fixture.element);
            let elements = std::slice::from_ref(&fixture.element);
            rehearse(steps, elements, &facts, &fixture.target, &Events::none(), &mut Vec::new())
        };
        rehearsed(&[step(false), script[0].clone()]).unwrap();
        assert_eq!(rehearsed(&[step(true), script[0].clone()]).unwrap_err().message, "no vim");
    }
}
