//! The one place where a Rhai engine is made.
//!
//! In: imports, a clock, where printed text goes. Out: an engine that can do nothing but compute and call verbs, within limits.
//! Not here: the verbs (`api/`), calling a function (`run`).

use std::sync::LazyLock;
use std::time::Duration;

use rhai::packages::{Package, StandardPackage};
use rhai::{Engine, FuncRegistration, Module, OptimizationLevel, Shared};

use super::api;
use super::host_error::{HostError, RhaiResult};
use super::imports::Imports;
use crate::event::{Event, Events, Level};

/// Files that one run may load.
pub const MODULES: usize = 64;
/// Calls inside calls. 64 fit the stack of `super::run` in every build profile.
pub const CALL_LEVELS: usize = 64;
/// Operations of one run; half a second of work, and far more than any element needs.
pub const OPERATIONS: u64 = 10_000_000;
/// Bytes of one string.
pub const STRING: usize = 16 << 20;
/// Entries of one array or map. Small: with a size limit every push measures the whole array again.
pub const ENTRIES: usize = 20_000;
/// Calls of verbs in one run: those that only look leave no effect that could be counted.
pub const CALLS: u64 = 100_000;
/// Processor time that a script may compute, without what its verbs take; 10 million operations need less. Not the clock's: a busy
/// machine must not make a difference. Values that nest without end are what needs it: each operation walks through all of one. With
/// what it takes to put such a value away, a script has ended within a second.
pub const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 800 });
/// What [`rhai::EvalAltResult::ErrorTerminated`] carries when the time is over.
pub const TIME_OVER: &str = "time";
/// What it carries after too many calls.
pub const TOO_MANY_CALLS: &str = "calls";

static STANDARD: LazyLock<Shared<Module>> = LazyLock::new(|| StandardPackage::new().as_shared_module());
static VERBS: LazyLock<Shared<Module>> = LazyLock::new(|| {
    let mut module = api::module();
    refuse(&mut module);
    module.into()
});
static TEST_VERBS: LazyLock<Shared<Module>> = LazyLock::new(|| api::test_module().into());

/// Processor time that this thread has used.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// An engine for one run, on a thread of its own. `verbs` says how often verbs were called and how much of the thread's processor
/// time they took; `testing` adds the tests' own verbs.
pub fn engine(
    imports: Imports,
    events: &Events,
    verbs: impl Fn() -> (u64, Duration) + Send + Sync + 'static,
    testing: bool,
) -> Engine {
    let mut engine = Engine::new_raw();
    let (printed, debugged) = (events.clone(), events.clone());
    engine
        .register_global_module(STANDARD.clone())
        // After the standard package: the last registered is looked at first, so ours replace `sleep`.
        .register_global_module(VERBS.clone())
        .set_module_resolver(imports)
        // The optimiser of 1.27 can be made to panic by `const M = #{a: 1}; M.a = 2`.
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(64, 64)
        .set_max_operations(OPERATIONS)
        .set_max_modules(MODULES)
        .set_max_string_size(STRING)
        .set_max_array_size(ENTRIES)
        .set_max_map_size(ENTRIES)
        .disable_symbol("eval")
        .on_print(move |text| printed.output(text))
        .on_debug(move |text, _, _| debugged.send(Event::Message { level: Level::Debug, text: text.to_owned() }));
    if testing {
        engine.register_global_module(TEST_VERBS.clone());
    }
    // Reading the clock each time would cost a third of the speed.
    engine.on_progress(move |count| {
        if count & 1023 != 0 {
            return None;
        }
        let (calls, took) = verbs();
        if calls > CALLS {
            return Some(TOO_MANY_CALLS.into());
        }
        (processor_time().saturating_sub(took) > TIME).then(|| TIME_OVER.into())
    });
    engine
}

/// Engines that have one kind of function each, to look at: the verbs, the tests' own verbs, the language.
pub fn by_kind() -> [Engine; 3] {
    [&VERBS, &TEST_VERBS, &STANDARD].map(|module| {
        let mut engine = Engine::new_raw();
        engine.register_global_module((*module).clone());
        engine
    })
}

/// Takes the place of functions of the language that a build must not have.
fn refuse(module: &mut Module) {
    fn sleep() -> RhaiResult<()> {
        let error = HostError::new("usage.sleep", "a script cannot sleep");
        Err(error.help("verbs wait by themselves until they are done; `run_in_chroot` has a `timeout`").into())
    }
    fn exit() -> RhaiResult<()> {
        let error = HostError::new("usage.exit", "a script cannot exit");
        Err(error.help("use `return` to end the function, or `image.fail(\"why\")` to stop the build").into())
    }
    FuncRegistration::new("sleep").set_into_module(module, |_: i64| sleep());
    FuncRegistration::new("sleep").set_into_module(module, |_: f64| sleep());
    FuncRegistration::new("exit").set_into_module(module, exit);
    FuncRegistration::new("exit").set_into_module(module, |_: rhai::Dynamic| exit());
}
