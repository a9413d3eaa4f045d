//! What can change a step's result, as a hash.
//!
//! In: a plan and one of its steps. Out: BLAKE3 over all that the step can see and that is known when planning. The builder
//! chains these with what only it can know (the versions of packages, the layers below). A hit that might be wrong is worse
//! than a miss: where an exact answer would need running the step, everything counts.

use serde::Serialize;

use super::{Action, Plan, Step};

/// Hashes of the steps of one plan.
pub(super) struct Inputs {
    disk: String,
    facts: String,
    shell: String,
    seen: String,
}

impl Inputs {
    /// Hashes what several steps share.
    pub(super) fn new(plan: &Plan) -> Self {
        let names: Vec<&String> = plan.elements.iter().map(|element| &element.name).collect();
        let seen: Vec<_> = plan.elements.iter().map(|element| (&element.name, plan.seen.get(&element.name))).collect();
        let seen = hash(&seen);
        Self {
            shell: hash(&(plan.shell.as_ref().map(|shell| (shell.keyed(), &shell.confine)), &seen)),
            seen,
            // Sizes are not final before the tree is: only identifiers and names reach a step.
            disk: hash(&(&plan.seed, &plan.disk)),
            facts: hash(&(&plan.name, &plan.arch, &plan.system, &plan.variables, names)),
        }
    }

    /// The hash of `step`.
    pub(super) fn of(&self, step: &Step, plan: &Plan) -> String {
        match &step.action {
            // Needs no more than what it is given: other elements and names change nothing.
            Action::Bootstrap { .. } => hash(&(&step.action, &plan.arch, &plan.system.distribution)),
            Action::Script { file, function } => {
                let element = plan.elements.iter().find(|element| Some(&element.name) == step.element.as_ref());
                let grants = element.map(|element| (&element.permissions, &element.options));
                let seen = step.element.as_ref().and_then(|name| plan.seen.get(name));
                // The folder's own place does not matter, the file's place in it does.
                // Variables of every `environment.d` reach a script.
                let shell = plan.shell.as_ref().map(|_| &self.shell);
                hash(&(file.file_name(), function, seen, grants, &self.facts, &self.disk, shell))
            }
            Action::FileSystemTable => {
                let scripts = crate::disk::verity_scripts::SCRIPTS;
                hash(&(&step.action, &self.disk, &plan.arch, scripts))
            }
            Action::BootLoader { .. } => hash(&(&step.action, &self.disk, &plan.arch)),
            Action::CollectHooks => hash(&(&step.action, &self.seen)),
            // Hooks see each other's files, and all variables.
            Action::ShellHook { .. } | Action::InstallPackages { .. } => hash(&(&step.action, step.phase, &self.shell)),
            Action::BuiltIn { .. } => hash(&(&step.action, step.phase, &self.seen, &self.facts)),
            Action::SettleRoot => hash(&(&step.action, plan.shell.as_ref().map(|shell| &shell.install_type))),
            // Never kept: they are for this build alone.
            Action::AttachDisk | Action::Break { .. } => String::new(),
            Action::RestoreNameServers => hash(&step.action),
            Action::RemovePackages { .. } | Action::Initramfs | Action::Tidy => hash(&step.action),
        }
    }
}

/// The hash of a step that was not known when `plan` was made: a hook that an earlier one brought.
pub fn of_found_step(step: &Step, plan: &Plan) -> String {
    Inputs::new(plan).of(step, plan)
}

fn hash(value: &impl Serialize) -> String {
    // A plan's values have string keys only: they serialise.
    let text = serde_json::to_vec(value).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}
