//! What only tests of elements can do: arrange facts, packages and commands, look at effects, assert.

use rhai::plugin::*;
use rhai::{Array, FnPtr, Map};
use serde::Deserialize;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::{Image, Test};
use super::options;
use crate::target::RunOutput;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CommandOptions {
    status: i64,
    stdout: String,
    stderr: String,
}

fn test(image: &Image) -> Result<&Test, HostError> {
    image.test().ok_or_else(|| HostError::usage("test", "only a test can do this"))
}

fn shown(value: &Dynamic) -> String {
    if value.is_string() { format!("{:?}", value.to_string()) } else { value.to_string() }
}

/// The code that a script would see in `err.code`, and what was thrown in words.
fn thrown(error: &EvalAltResult) -> (String, String) {
    let inner = error.unwrap_inner();
    if let EvalAltResult::ErrorRuntime(value, _) = inner {
        if let Some(error) = value.read_lock::<HostError>() {
            return (error.code.clone(), error.message.clone());
        }
        if let Some(map) = value.read_lock::<Map>() {
            let code = map.get("code").map(ToString::to_string);
            return (code.unwrap_or_default(), value.to_string());
        }
        return (value.to_string(), value.to_string());
    }
    (String::new(), inner.to_string())
}

/// Tests.
#[export_module]
pub mod verbs {
    /// Fails the test unless `condition` holds.
    #[rhai_fn(return_raw)]
    pub fn assert(condition: bool) -> RhaiResult<()> {
        if condition { Ok(()) } else { Err(HostError::new("test.assertion", "the assertion does not hold").into()) }
    }

    /// As above, saying why it matters.
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_with(condition: bool, text: &str) -> RhaiResult<()> {
        if condition { Ok(()) } else { Err(HostError::new("test.assertion", text).into()) }
    }

    /// Fails the test unless both values are equal.
    #[rhai_fn(return_raw)]
    pub fn assert_eq(left: Dynamic, right: Dynamic) -> RhaiResult<()> {
        let read = |value: &Dynamic| rhai::serde::from_dynamic::<serde_json::Value>(value).ok();
        let equal = match (read(&left), read(&right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        };
        if equal {
            return Ok(());
        }
        let text = format!("the values differ\n  left:  {}\n  right: {}", shown(&left), shown(&right));
        Err(HostError::new("test.assertion", text).into())
    }

    /// Fails the test unless `function` fails with an error of this code. A refused permission is forgiven then.
    #[rhai_fn(return_raw)]
    pub fn assert_throws(ctx: NativeCallContext<'_>, code: &str, function: FnPtr) -> RhaiResult<()> {
        let error = match function.call_within_context::<Dynamic>(&ctx, ()) {
            Ok(_) => {
                return Err(HostError::new("test.assertion", format!("nothing failed, `{code}` was expected")).into());
            }
            // A limit is no error that a test could expect.
            Err(error) if !error.unwrap_inner().is_catchable() => return Err(error),
            Err(error) => error,
        };
        let (found, message) = thrown(&error);
        if found != code {
            let text = format!("expected an error with the code `{code}`, got `{found}`: {message}");
            return Err(HostError::new("test.assertion", text).into());
        }
        if found == "permission.denied"
            && let Some(image) = ctx.tag().and_then(|tag| tag.clone().try_cast::<Image>())
        {
            image.forgive();
        }
        Ok(())
    }

    /// Makes a package available; after the first one, others are not.
    #[rhai_fn(return_raw)]
    pub fn fake_package(image: &mut Image, name: &str) -> RhaiResult<()> {
        test(image)?.target.add_package(name, None);
        Ok(())
    }

    /// Makes a package available in this version.
    #[rhai_fn(name = "fake_package", return_raw)]
    pub fn fake_package_version(image: &mut Image, name: &str, version: &str) -> RhaiResult<()> {
        test(image)?.target.add_package(name, Some(version));
        Ok(())
    }

    /// Decides how commands that begin with these words end: `#{status, stdout, stderr}`. Others succeed and print nothing.
    #[rhai_fn(return_raw)]
    pub fn fake_command(ctx: NativeCallContext<'_>, image: &mut Image, command: Array, ends: Map) -> RhaiResult<()> {
        let ends: CommandOptions = options::read(ctx.fn_name(), ends)?;
        let status = i32::try_from(ends.status).unwrap_or(1);
        let output = RunOutput { status, stdout: ends.stdout.into_bytes(), stderr: ends.stderr.into_bytes() };
        test(image)?.target.add_command(command.into_iter().map(|word| word.to_string()).collect(), output);
        Ok(())
    }

    /// Decides what `fetch` gives for an address; of others it gives an empty file.
    #[rhai_fn(return_raw)]
    pub fn fake_download(image: &mut Image, url: &str, text: &str) -> RhaiResult<()> {
        test(image)?.target.arrange().content(url, text.as_bytes().to_vec());
        Ok(())
    }

    /// Decides the text of a secret; that of others is `secret NAME`.
    #[rhai_fn(return_raw)]
    pub fn fake_secret(image: &mut Image, name: &str, text: &str) -> RhaiResult<()> {
        test(image)?.target.arrange().add_secret(name, text);
        Ok(())
    }

    /// The nodes of the disk that the element described, as in a `block-device-*.yaml`.
    #[rhai_fn(return_raw)]
    pub fn disk_nodes(image: &mut Image) -> RhaiResult<Array> {
        image.declared().iter().map(|declared| rhai::serde::to_dynamic(&declared.node)).collect()
    }

    /// What the element did so far: a list of `#{verb, args, element, file, line}`.
    #[rhai_fn(return_raw)]
    pub fn effects(image: &mut Image) -> RhaiResult<Array> {
        image.effects().iter().map(rhai::serde::to_dynamic).collect()
    }

    /// Sets a variable.
    pub fn set_env(image: &mut Image, name: &str, text: &str) {
        image.world().facts.variables.insert(name.to_owned(), text.to_owned());
    }

    /// Sets an option of the element.
    #[rhai_fn(return_raw)]
    pub fn set_option(image: &mut Image, name: &str, value: Dynamic) -> RhaiResult<()> {
        options::check_depth(&value)?;
        let value = rhai::serde::from_dynamic(&value)?;
        image.world().options.insert(name.to_owned(), value);
        Ok(())
    }

    /// Sets a fact: `distro`, `family`, `release`, `arch`, `image_name`, `root_label`, `boot_label`, or `element` to add one.
    #[rhai_fn(return_raw)]
    pub fn set_fact(image: &mut Image, name: &str, text: &str) -> RhaiResult<()> {
        let mut world = image.world();
        let facts = &mut world.facts;
        let place = match name {
            "distro" => &mut facts.distribution,
            "family" => &mut facts.family,
            "release" => &mut facts.release,
            "arch" => &mut facts.arch,
            "image_name" => &mut facts.image_name,
            "root_label" => &mut facts.root_label,
            "boot_label" => &mut facts.boot_label,
            "element" => {
                facts.elements.push(text.to_owned());
                return Ok(());
            }
            _ => return Err(HostError::usage("fact", format!("there is no fact `{name}`")).into()),
        };
        text.clone_into(place);
        Ok(())
    }
}
