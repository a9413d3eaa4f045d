//! Templates: files of the element in Jinja's language. Needs no permission, has no effect.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use rhai::Map;
use rhai::plugin::*;

use super::super::engine::STRING;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::jail;
use super::options;

/// Instructions that a template may take: far more than any configuration file needs, few enough to end within a second.
const FUEL: u64 = 5_000_000;

fn rendered(image: &Image, file: &str, values: Value) -> Result<String, HostError> {
    let folder = image.element().directory.clone();
    // The file itself first: its absence is the author's plain mistake, not a template's.
    jail::inside(&folder, file)?;
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    // A tag on a line of its own leaves no line: templates are configuration files.
    syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().map_err(|error| HostError::new("template.failed", error.to_string()))?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_loader(move |name| {
        let refused = |text: String| minijinja::Error::new(ErrorKind::InvalidOperation, text);
        let path = jail::inside(&folder, name).map_err(|error| refused(error.message))?;
        std::fs::read_to_string(&path).map(Some).map_err(|error| refused(format!("cannot read {path}: {error}")))
    });
    let fail = |error: minijinja::Error| {
        let at = error.line().map_or_else(String::new, |line| format!(", line {line}"));
        let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
        HostError::new("template.failed", format!("template `{file}`{at}: {}{detail}", error.kind()))
    };
    let mut out = Limited(Vec::new());
    let template = environment.get_template(file).map_err(fail)?;
    template.render_captured_to(values, &mut out).map(drop).map_err(fail)?;
    String::from_utf8(out.0).map_err(|error| HostError::new("template.failed", error.to_string()))
}

/// Takes as much text as a script's string may hold.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > STRING {
            return Err(std::io::Error::other(format!("the text is longer than {STRING} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A script's value as a template sees it.
fn value(from: &Dynamic) -> Value {
    if let Some(map) = from.read_lock::<Map>() {
        let map: BTreeMap<String, Value> = map.iter().map(|(key, inner)| (key.to_string(), value(inner))).collect();
        return map.into();
    }
    if let Some(array) = from.read_lock::<rhai::Array>() {
        return array.iter().map(value).collect();
    }
    if let Ok(number) = from.as_int() {
        return number.into();
    }
    if let Ok(number) = from.as_float() {
        return number.into();
    }
    if let Ok(truth) = from.as_bool() {
        return truth.into();
    }
    if from.is_unit() { ().into() } else { from.to_string().into() }
}

/// Templates.
#[export_module]
pub mod verbs {
    /// Text of the element's template `file`.
    #[rhai_fn(return_raw)]
    pub fn render(ctx: NativeCallContext<'_>, image: &mut Image, file: &str) -> RhaiResult<String> {
        let _running = image.enter(&ctx);
        Ok(rendered(image, file, BTreeMap::<String, Value>::new().into())?)
    }

    /// Text of the element's template `file`, with values for its variables. A variable without a value is an error.
    #[rhai_fn(name = "render", return_raw)]
    pub fn render_with(ctx: NativeCallContext<'_>, image: &mut Image, file: &str, values: Map) -> RhaiResult<String> {
        let _running = image.enter(&ctx);
        let values = values.into();
        options::check_depth(&values)?;
        Ok(rendered(image, file, value(&values))?)
    }
}
