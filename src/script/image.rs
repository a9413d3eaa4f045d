//! The one door: the handle that every verb takes first.
//!
//! In: a target, an element with its grants, facts. Out: for each verb, leave to act or a refusal that sticks, and a record
//! of what was done where. Not here: what the verbs do (`api/`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rhai::{NativeCallContext, Position};
use serde_json::Value;

use super::effect::Effect;
use super::engine::processor_time;
use super::host_error::HostError;
use super::permission::{self, Permission, PermissionError};
use crate::event::Events;
use crate::plan::{Phase, PlannedElement};
use crate::target::fake::FakeTarget;
use crate::target::{Facts, Target};

/// More effects than this in one run is a loop gone wrong, and a record of them would fill the memory.
const EFFECTS: usize = 100_000;

/// The image as a script holds it. Cheap to clone: Rhai passes values by copy.
#[derive(Clone)]
pub struct Image(Arc<Inner>);

struct Inner {
    target: Arc<dyn Target>,
    element: PlannedElement,
    grants: Vec<Permission>,
    world: Mutex<World>,
    effects: Mutex<Vec<Effect>>,
    violation: Mutex<Option<Violation>>,
    last: Mutex<Option<Site>>,
    /// The function that the engine was asked to call.
    function: Mutex<String>,
    nodes: Mutex<Vec<Declared>>,
    /// Texts that must not be said.
    hidden: Mutex<Vec<String>>,
    native: AtomicU64,
    calls: AtomicU64,
    events: Events,
    test: Option<Test>,
}

/// What facts and options a script sees; only tests change it while it runs.
pub struct World {
    /// Facts about the build.
    pub facts: Facts,
    /// The element's options.
    pub options: std::collections::BTreeMap<String, Value>,
}

/// What only a test's image has.
#[derive(Clone)]
pub struct Test {
    /// The source name of the test file: calls from there arrange things and need no permission.
    pub source: String,
    /// The target, as what it is.
    pub target: FakeTarget,
}

/// Where a verb was called.
#[derive(Clone, Debug)]
pub struct Site {
    /// The verb.
    pub verb: String,
    /// Source name of the file.
    pub source: String,
    /// Place in it.
    pub position: Position,
}

/// A verb that was called without leave. The first one is kept, whatever the script does about it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What was refused.
    pub error: HostError,
    /// Where.
    pub site: Site,
}

/// A node of the disk's layout, as a script described it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// One key, its kind, as in a block-device description.
    pub node: Value,
    /// Where it was said.
    pub site: Site,
}

/// A verb in progress; its time does not count as the script's.
pub struct Running<'a>(&'a Inner, Duration);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = processor_time().saturating_sub(self.1);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.native.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Image {
    /// The handle for one run of a script of `element`.
    ///
    /// # Errors
    /// When one of the element's grants is no permission.
    pub fn new(
        element: &PlannedElement,
        facts: Facts,
        target: Arc<dyn Target>,
        events: &Events,
        test: Option<Test>,
    ) -> Result<Self, PermissionError> {
        let grants = element.permissions.iter().map(|text| permission::parse(text)).collect::<Result<_, _>>()?;
        let world = World { facts, options: element.options.clone() };
        Ok(Self(Arc::new(Inner {
            target,
            element: element.clone(),
            grants,
            world: Mutex::new(world),
            effects: Mutex::default(),
            violation: Mutex::default(),
            last: Mutex::default(),
            function: Mutex::default(),
            nodes: Mutex::default(),
            hidden: Mutex::default(),
            native: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            events: events.clone(),
            test,
        })))
    }

    /// The target.
    pub fn target(&self) -> &dyn Target {
        &*self.0.target
    }

    /// The element that runs.
    pub fn element(&self) -> &PlannedElement {
        &self.0.element
    }

    /// Facts and options.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.0.world)
    }

    /// Where messages go.
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// What only a test has.
    pub fn test(&self) -> Option<&Test> {
        self.0.test.as_ref()
    }

    /// What was done so far.
    pub fn effects(&self) -> Vec<Effect> {
        lock(&self.0.effects).clone()
    }

    /// The first refusal.
    pub fn violation(&self) -> Option<Violation> {
        lock(&self.0.violation).clone()
    }

    /// Forgets the refusal: a test expected it.
    pub fn forgive(&self) {
        *lock(&self.0.violation) = None;
    }

    /// The last verb called, for errors that lost their place.
    pub fn last(&self) -> Option<Site> {
        lock(&self.0.last).clone()
    }

    /// How often verbs were called, and the processor time spent inside them.
    pub fn verbs(&self) -> (u64, Duration) {
        let nanoseconds = self.0.native.load(Ordering::Relaxed);
        (self.0.calls.load(Ordering::Relaxed), Duration::from_nanos(nanoseconds))
    }

    /// Says which function runs.
    pub fn calling(&self, function: &str) {
        function.clone_into(&mut lock(&self.0.function));
    }

    /// This is the time to describe the disk: the phase's function runs, or a test.
    pub fn describes_disk(&self) -> bool {
        self.0.test.is_some() || *lock(&self.0.function) == Phase::BlockDevice.function()
    }

    /// Takes a node of the disk's layout.
    pub fn declare(&self, ctx: &NativeCallContext<'_>, node: Value) {
        lock(&self.0.nodes).push(Declared { node, site: site(ctx) });
    }

    /// What the script said of the disk so far.
    pub fn declared(&self) -> Vec<Declared> {
        lock(&self.0.nodes).clone()
    }

    /// A node of this kind and name was described.
    pub fn has_declared(&self, kind: &str, name: &str) -> bool {
        let named = |node: &Value| node.get(kind).and_then(|keys| keys.get("name")).is_some_and(|known| known == name);
        lock(&self.0.nodes).iter().any(|declared| named(&declared.node))
    }

    /// From now on, records and messages do not show this text, nor any line of it that is long enough to matter.
    pub fn hide(&self, secret: &str) {
        let mut hidden = lock(&self.0.hidden);
        hidden.extend(
            std::iter::once(secret)
                .chain(secret.lines())
                .map(str::trim)
                .filter(|text| text.len() >= 4)
                .map(str::to_owned),
        );
        // The whole before its lines.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The text without secrets.
    pub fn shown(&self, text: &str) -> String {
        lock(&self.0.hidden).iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    fn shown_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.shown(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.shown_value(item)).collect(),
            other => other,
        }
    }

    /// Begins a verb. The value must live as long as the verb runs.
    pub fn enter(&self, ctx: &NativeCallContext<'_>) -> Running<'_> {
        *lock(&self.0.last) = Some(site(ctx));
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        Running(&self.0, processor_time())
    }

    /// This permission was granted, or the call is a test's own.
    pub fn may(&self, ctx: &NativeCallContext<'_>, need: &Permission) -> bool {
        self.arranges(ctx) || self.0.grants.iter().any(|grant| self.covers(grant, need))
    }

    /// Asks for a permission; a refusal sticks.
    ///
    /// # Errors
    /// `permission.denied`.
    pub fn need(&self, ctx: &NativeCallContext<'_>, need: &Permission) -> Result<(), HostError> {
        if self.may(ctx, need) {
            return Ok(());
        }
        Err(self.refuse(ctx, need, ""))
    }

    /// Asks for leave to change what is at `path`, and says where that really is. `follow_last` when the verb changes what a
    /// symlink at `path` points to rather than the symlink.
    ///
    /// # Errors
    /// `permission.denied`, `usage.path`, `io.failed`.
    pub fn need_write(
        &self,
        ctx: &NativeCallContext<'_>,
        path: &str,
        follow_last: bool,
    ) -> Result<Utf8PathBuf, HostError> {
        let real = self.0.target.resolve(Utf8Path::new(path), follow_last)?;
        let need = Permission::Write(real.clone());
        if self.may(ctx, &need) {
            return Ok(real);
        }
        let same = Utf8Path::new(path).components().eq(real.components());
        let note = if same { String::new() } else { format!(": `{path}` leads to `{real}`") };
        Err(self.refuse(ctx, &need, &note))
    }

    /// Records an effect; its verb is the function that `ctx` calls.
    ///
    /// # Errors
    /// `limit.effects`.
    pub fn record(&self, ctx: &NativeCallContext<'_>, args: Vec<Value>) -> Result<(), HostError> {
        if self.arranges(ctx) {
            return Ok(());
        }
        let args = args.into_iter().map(|argument| self.shown_value(argument)).collect();
        let mut effects = lock(&self.0.effects);
        if effects.len() >= EFFECTS {
            return Err(HostError::new("limit.effects", format!("the script called more than {EFFECTS} verbs")));
        }
        let site = site(ctx);
        effects.push(Effect {
            verb: site.verb,
            args,
            element: self.0.element.name.clone(),
            file: site.source,
            line: site.position.line().unwrap_or(0),
        });
        Ok(())
    }

    /// The call stands in a test file.
    fn arranges(&self, ctx: &NativeCallContext<'_>) -> bool {
        self.0.test.as_ref().is_some_and(|test| ctx.call_source() == Some(&test.source))
    }

    fn covers(&self, grant: &Permission, need: &Permission) -> bool {
        let (Permission::Write(prefix), Permission::Write(_)) = (grant, need) else { return grant.covers(need) };
        // A grant below another one adds nothing; what is above it is the element's to change, by a link to anywhere too.
        if self.0.grants.iter().any(|other| other != grant && other.covers(grant)) {
            return false;
        }
        // The need is a real path, so the grant must be one too (`/lib/systemd` is below `/usr/lib` in a merged tree). Its
        // last component is not followed: an element can replace it by a symlink to anywhere.
        let real = self.0.target.resolve(prefix, false).unwrap_or_else(|_| prefix.clone());
        Permission::Write(real).covers(need)
    }

    fn refuse(&self, ctx: &NativeCallContext<'_>, need: &Permission, note: &str) -> HostError {
        let site = site(ctx);
        let declare = match need {
            // Elements own folders, seldom single files.
            Permission::Write(path) => match path.parent() {
                Some(parent) if parent.components().count() > 2 => Permission::Write(parent.to_owned()),
                _ => need.clone(),
            },
            other => other.clone(),
        };
        let message = format!("`{}` needs the permission `{need}`{note}", site.verb);
        let error = HostError::new("permission.denied", message).help(format!(
            "declare it in `ELEMENT` of {}/element.rhai: `permissions: [\"{declare}\"]`",
            self.0.element.name
        ));
        lock(&self.0.violation).get_or_insert_with(|| Violation { error: error.clone(), site });
        error
    }
}

fn site(ctx: &NativeCallContext<'_>) -> Site {
    Site {
        verb: ctx.fn_name().to_owned(),
        source: ctx.call_source().unwrap_or_default().to_owned(),
        position: ctx.call_position(),
    }
}
