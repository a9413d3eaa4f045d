//! `kiln plan`: what a build would do, for a person or, as JSON, what the builder is given, without secrets.

use std::process::ExitCode;

use clap::Args;

use super::prepare::{Prepared, prepare};
use super::words::ImageArgs;
use crate::disk::direct;
use crate::plan::{Plan, explain};

/// Words of `kiln plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    image: ImageArgs,
    /// Print the plan as the builder is given it, as JSON without secrets
    #[arg(long)]
    json: bool,
}

/// Prints the plan.
pub fn run(args: PlanArgs) -> ExitCode {
    let plan = match prepare(&args.image, super::colour()) {
        Ok(Prepared { plan, .. }) => plan,
        Err(message) => return super::refuse(&message),
    };
    if !args.json {
        super::print(&explain::text(&plan));
        super::print(&ways(&plan));
        return ExitCode::SUCCESS;
    }
    match serde_json::to_string_pretty(&plan.without_secrets()) {
        Ok(text) => {
            super::print(&format!("{text}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => super::refuse(&format!("cannot write down the plan: {error}")),
    }
}

/// What is special about writing the disk on this machine: what its tools are too old for.
fn ways(plan: &Plan) -> String {
    let lines = match plan.provisional_layout().map(|layout| direct::ways(&layout)) {
        Ok(Ok(ways)) => ways.iter().map(|(node, way)| format!("  {node}: {way}\n")).collect::<String>(),
        Ok(Err(error)) => format!("  not on this machine: {error}\n"),
        Err(_) => String::new(),
    };
    if lines.is_empty() { lines } else { format!("\nwriting the disk\n{lines}") }
}
