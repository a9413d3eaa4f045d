//! `systemctl`

use super::{Call, run};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::step::{Step, verb};
use crate::port::value::Base;

/// `systemctl enable`, `disable`, `mask`
///
/// # Errors
/// It asks for something that only a running system can do.
pub fn systemctl(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (_, operands) = call.known_options(&["--no-reload", "-q", "--quiet", "-f", "--force"], &[])?;
    let Some((action, units)) = operands.split_first() else { return Err(Kept::new("`systemctl` without an action")) };
    let name = match action.literal().as_deref() {
        Some("enable") => "enable_service",
        Some("disable") => "disable_service",
        Some("mask") => "mask_service",
        Some("daemon-reload") => return Ok(vec![Step::Nothing("nothing runs yet that could be reloaded".into())]),
        _ => return run::command(hook, call, None),
    };
    let mut steps = Vec::new();
    for unit in units {
        let value = hook.value(unit, Use::Split)?;
        if value.base != Base::Plain || value.pattern || value.prefix().starts_with('/') {
            return Err(Kept::new("a unit that is not named by its name"));
        }
        hook.need("services");
        steps.push(verb(name, vec![value.code()]));
    }
    Ok(steps)
}
