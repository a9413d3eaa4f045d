//! Reads `const ELEMENT` of an `element.rhai`.
//!
//! Every key is known: a misspelt one is an error that points at it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Manifest;
use super::fields::{Fields, expected, text};
use crate::diagnostic::Diagnostic;
use crate::element::built_in::STAGES;
use crate::element::model::OperatingSystem;
use crate::element::{OptionKind, OptionSpec, architecture, hooks};
use crate::plan::Phase;
use crate::script::syntax::{Key, Literal, LiteralValue, Source};
use crate::script::{nearest, permission};

const FIELDS: [&str; 11] = [
    "summary",
    "depends",
    "provides",
    "architectures",
    "permissions",
    "options",
    "order",
    "built_in",
    "environment",
    "system",
    "boot_loader",
];
const BOOT_LOADERS: [&str; 3] = ["grub", "systemd-boot", "uki"];

/// The manifest of `source`.
///
/// # Errors
/// There is none, or it has a mistake, or a phase function is misspelt or takes other parameters than the image.
pub fn read(source: &Source) -> Result<Manifest, Diagnostic> {
    let Some(literal) = source.constant("ELEMENT")? else {
        let mut diagnostic =
            source.diagnostic("manifest.missing", "an element.rhai must define `const ELEMENT`", 0..0, "");
        diagnostic.help.push("begin with `const ELEMENT = #{ summary: \"what it is for\" };`".into());
        return Err(diagnostic);
    };
    let fields = Fields::new(source, "ELEMENT", literal)?;
    fields.only(&FIELDS)?;
    check_functions(source)?;
    let built_in = built_in(source, &fields)?;
    Ok(Manifest {
        summary: fields.required("summary")?,
        depends: fields.texts("depends")?,
        provides: fields.texts("provides")?,
        architectures: architectures(source, &fields)?,
        permissions: permissions(source, &fields)?,
        options: options(source, &fields)?,
        order: order(source, &fields, &built_in)?,
        built_in,
        environment: environment(source, &fields)?,
        system: system(source, &fields)?,
        boot_loader: boot_loader(source, &fields)?,
    })
}

/// The phases that `source` has functions for.
pub fn phases(source: &Source) -> Vec<Phase> {
    Phase::ALL.into_iter().filter(|phase| source.function(&phase.function()).is_some()).collect()
}

/// Architectures, each one that Debian has.
fn architectures(source: &Source, fields: &Fields<'_>) -> Result<Vec<String>, Diagnostic> {
    let names = fields.texts("architectures")?.unwrap_or_default();
    let Some(literal) = fields.get("architectures") else { return Ok(names) };
    let LiteralValue::Array(literals) = &literal.value else { return Ok(names) };
    if names.is_empty() {
        let message = "`architectures` is empty: the element would work nowhere";
        return Err(source.diagnostic(
            "manifest.architecture",
            message,
            literal.span.clone(),
            "name some, or leave it out",
        ));
    }
    for (name, literal) in names.iter().zip(literals) {
        if !architecture::KNOWN.contains(&name.as_str()) {
            let message = match architecture::debian(name) {
                Some(debian) => format!("Debian calls `{name}` `{debian}`"),
                None => format!("there is no architecture `{name}`: there are {}", architecture::KNOWN.join(", ")),
            };
            let span = literal.span.clone();
            return Err(source.diagnostic("manifest.architecture", message, span, "unknown architecture"));
        }
    }
    Ok(names)
}

/// Grants, each one that scripts know.
fn permissions(source: &Source, fields: &Fields<'_>) -> Result<Vec<String>, Diagnostic> {
    let grants = fields.texts("permissions")?.unwrap_or_default();
    let Some(LiteralValue::Array(literals)) = fields.get("permissions").map(|literal| &literal.value) else {
        return Ok(grants);
    };
    for (grant, literal) in grants.iter().zip(literals) {
        if let Err(error) = permission::parse(grant) {
            return Err(source.diagnostic("permission.unknown", error.to_string(), literal.span.clone(), ""));
        }
    }
    Ok(grants)
}

fn check_functions(source: &Source) -> Result<(), Diagnostic> {
    let names = Phase::ALL.map(Phase::function);
    for function in &source.functions {
        let count = function.parameters.len();
        if names.contains(&function.name) {
            if count != 1 {
                return Err(hooks::arity(source, &function.name, count, function.span.clone()));
            }
        } else if count == 1
            && let Some(close) = names.iter().find(|name| is_slip(&function.name, name))
        {
            let message = format!("there is no phase `{}`; did you mean `{close}`?", function.name);
            let mut diagnostic =
                source.diagnostic("unknown-phase", message, function.span.clone(), "nothing would call this function");
            diagnostic.help.push("if it is a helper, give it a name that does not look like a phase".into());
            return Err(diagnostic);
        }
    }
    Ok(())
}

/// Whether `name` is `phase` with a slip of the finger. Short names resemble too much to tell.
fn is_slip(name: &str, phase: &str) -> bool {
    let bare = |text: &str| text.to_lowercase().replace('_', "");
    if name.len() > 2 * phase.len() {
        return false;
    }
    let distance = strsim::damerau_levenshtein(&bare(name), &bare(phase));
    distance == 0 || (phase.len() > 5 && distance <= phase.len() / 6)
}

fn options(source: &Source, fields: &Fields<'_>) -> Result<BTreeMap<String, OptionSpec>, Diagnostic> {
    let mut options = BTreeMap::new();
    let Some(literal) = fields.get("options") else { return Ok(options) };
    for (key, value) in Fields::new(source, "`options`", literal)?.entries() {
        options.insert(key.name.clone(), option(source, &key.name, value)?);
    }
    Ok(options)
}

fn option(source: &Source, name: &str, literal: &Literal) -> Result<OptionSpec, Diagnostic> {
    let fields = Fields::new(source, &format!("option `{name}`"), literal)?;
    fields.only(&["type", "default_value", "help", "env", "choices", "keep_empty"])?;
    let kind_name = fields.required("type")?;
    let Some(kind) = OptionKind::parse(&kind_name) else {
        let span = fields.get("type").map_or(0..0, |literal| literal.span.clone());
        let message = format!("there is no type `{kind_name}`: options are string, int, bool or list");
        return Err(source.diagnostic("manifest.option", message, span, "unknown type"));
    };
    let variables = match fields.get("env") {
        Some(literal @ Literal { value: LiteralValue::String(_), .. }) => vec![text(source, "env", literal)?],
        _ => fields.texts("env")?.unwrap_or_default(),
    };
    let mut option = OptionSpec {
        kind,
        default_value: kind.empty(),
        help: fields.required("help")?,
        variables,
        choices: fields.texts("choices")?.unwrap_or_default(),
        keep_empty: fields.flag("keep_empty")?,
    };
    if let Some(literal) = fields.get("default_value") {
        option.default_value = json(literal);
        if !kind.admits(&option.default_value) {
            return Err(expected(source, "`default_value`", kind.describe(), literal));
        }
        option
            .check(&option.default_value)
            .map_err(|choices| expected(source, "`default_value`", &choices, literal))?;
    }
    Ok(option)
}

/// The phase that a key names.
fn phase(source: &Source, key: &Key) -> Result<Phase, Diagnostic> {
    Phase::parse(&key.name).ok_or_else(|| {
        let names = Phase::ALL.map(Phase::function);
        let close = nearest::close(&key.name, names.iter().map(String::as_str));
        let message = format!("there is no phase `{}`{}", key.name, nearest::suggestion(&close));
        source.diagnostic("unknown-phase", message, key.span.clone(), "unknown phase")
    })
}

/// Stages of the program, each one that there is, in phases that the element does nothing else in: a place in the order is one
/// element's in one phase.
fn built_in(source: &Source, fields: &Fields<'_>) -> Result<BTreeMap<Phase, String>, Diagnostic> {
    let mut stages = BTreeMap::new();
    let Some(literal) = fields.get("built_in") else { return Ok(stages) };
    for (key, value) in Fields::new(source, "`built_in`", literal)?.entries() {
        let phase = phase(source, key)?;
        let name = text(source, &key.name, value)?;
        if !STAGES.iter().any(|(known, _)| *known == name) {
            let close = nearest::close(&name, STAGES.iter().map(|(known, _)| *known));
            let message = format!("there is no built-in stage `{name}`{}", nearest::suggestion(&close));
            let mut diagnostic = source.diagnostic("manifest.built-in", message, value.span.clone(), "unknown stage");
            let known: Vec<&str> = STAGES.iter().map(|(known, _)| *known).collect();
            diagnostic.help.push(format!("the stages are {}", known.join(", ")));
            return Err(diagnostic);
        }
        if let Some(function) = source.function(&phase.function()) {
            let message = format!("{phase} has both the built-in stage `{name}` and `fn {}(image)`", phase.function());
            let mut diagnostic =
                source.diagnostic("manifest.built-in", message, function.span.clone(), "which comes first?");
            diagnostic.help.push(format!("move the function to a file {}/NN-name.rhai", phase.directory()));
            return Err(diagnostic);
        }
        stages.insert(phase, name);
    }
    Ok(stages)
}

fn order(
    source: &Source,
    fields: &Fields<'_>,
    built_in: &BTreeMap<Phase, String>,
) -> Result<BTreeMap<Phase, String>, Diagnostic> {
    let mut order = BTreeMap::new();
    let Some(literal) = fields.get("order") else { return Ok(order) };
    for (key, value) in Fields::new(source, "`order`", literal)?.entries() {
        let phase = phase(source, key)?;
        let place = text(source, &key.name, value)?;
        if !hooks::is_hook_name(&place) {
            let message = format!("`{place}` is no sort key: it may hold letters, digits, `-` and `_`");
            return Err(source.diagnostic("manifest.order", message, value.span.clone(), "for example \"10-name\""));
        }
        if source.function(&phase.function()).is_none() && !built_in.contains_key(&phase) {
            let message = format!("`order` names {phase}, but the element has no `fn {}(image)`", phase.function());
            return Err(source.diagnostic("manifest.order", message, key.span.clone(), "nothing to order"));
        }
        order.insert(phase, place);
    }
    Ok(order)
}

fn environment(source: &Source, fields: &Fields<'_>) -> Result<Vec<(String, String)>, Diagnostic> {
    let Some(literal) = fields.get("environment") else { return Ok(Vec::new()) };
    Fields::new(source, "`environment`", literal)?
        .entries()
        .map(|(key, value)| Ok((key.name.clone(), text(source, &key.name, value)?)))
        .collect()
}

fn system(source: &Source, fields: &Fields<'_>) -> Result<Option<OperatingSystem>, Diagnostic> {
    let Some(literal) = fields.get("system") else { return Ok(None) };
    let fields = Fields::new(source, "`system`", literal)?;
    fields.only(&["distribution", "family", "package_manager", "packages"])?;
    Ok(Some(OperatingSystem {
        distribution: fields.required("distribution")?,
        family: fields.required("family")?,
        package_manager: fields.required("package_manager")?,
        packages: fields.texts("packages")?.unwrap_or_default(),
    }))
}

fn boot_loader(source: &Source, fields: &Fields<'_>) -> Result<Option<String>, Diagnostic> {
    let name = fields.text("boot_loader")?;
    match (&name, fields.get("boot_loader")) {
        (Some(name), Some(literal)) if !BOOT_LOADERS.contains(&name.as_str()) => {
            let message = format!("there is no boot loader `{name}`: kiln knows {}", BOOT_LOADERS.join(", "));
            Err(source.diagnostic("manifest.boot-loader", message, literal.span.clone(), "unknown boot loader"))
        }
        _ => Ok(name),
    }
}

/// Refuses a `boot_loader` of an element that has not exactly one hook of `finalise`: kiln installs it right after that one.
///
/// # Errors
/// Points at the field.
pub fn check_boot_loader(source: &Source, finalise_hooks: usize) -> Result<(), Diagnostic> {
    let Some(literal) = source.constant("ELEMENT")? else { return Ok(()) };
    let fields = Fields::new(source, "ELEMENT", literal)?;
    let Some(given) = fields.get("boot_loader").filter(|_| finalise_hooks != 1) else { return Ok(()) };
    let message = format!(
        "`boot_loader` needs exactly one finalise hook, after which kiln installs it; the element has {}",
        if finalise_hooks == 0 { "none".to_owned() } else { finalise_hooks.to_string() }
    );
    let mut diagnostic =
        source.diagnostic("manifest.boot-loader", message, given.span.clone(), "installed after which hook?");
    diagnostic.help.push("write one `fn finalise(image)`, or one file finalise.d/NN-name.rhai".into());
    Err(diagnostic)
}

fn json(literal: &Literal) -> Value {
    match &literal.value {
        LiteralValue::Unit => Value::Null,
        LiteralValue::Bool(value) => (*value).into(),
        LiteralValue::Int(value) => (*value).into(),
        LiteralValue::Float(value) => (*value).into(),
        LiteralValue::String(value) => value.as_str().into(),
        LiteralValue::Array(items) => items.iter().map(json).collect(),
        LiteralValue::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::syntax;

    fn manifest(text: &str) -> Result<Manifest, Diagnostic> {
        read(&syntax::read("x/element.rhai", text)?)
    }

    #[track_caller]
    fn refused(text: &str, message: &str, place: &str) {
        let error = manifest(text).unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
        let label = &error.labels[0];
        assert_eq!(&label.source[label.span.clone()], place);
    }

    #[test]
    fn every_field_is_read() {
        let manifest = manifest(
            r#"const ELEMENT = #{
                summary: "s", depends: ["a"], provides: ["operating-system"], architectures: ["amd64"],
                permissions: ["run"],
                options: #{
                    release: #{ type: "string", default_value: "stable", help: "h", env: "R" },
                    count: #{ type: "int", help: "h", env: ["A", "B"] },
                },
                order: #{ pre_install: "10-x", "post-install": "95-y" },
                environment: #{ DISTRO_NAME: "debian" },
                system: #{ distribution: "debian", family: "debian", package_manager: "apt", packages: ["python3"] },
                boot_loader: "grub",
            };
            fn pre_install(image) {}
            fn post_install(image) {}"#,
        )
        .unwrap();
        assert_eq!(manifest.depends, Some(vec!["a".to_string()]));
        assert_eq!(manifest.architectures, ["amd64"]);
        assert_eq!(manifest.options["release"].default_value, json!("stable"));
        assert_eq!(manifest.options["count"].default_value, json!(0));
        assert_eq!(manifest.options["count"].variables, ["A", "B"]);
        assert_eq!(manifest.order[&Phase::PostInstall], "95-y");
        assert_eq!(manifest.environment, [("DISTRO_NAME".to_string(), "debian".to_string())]);
        assert_eq!(manifest.system.unwrap().packages, ["python3"]);
        assert_eq!(manifest.boot_loader.as_deref(), Some("grub"));
    }

    #[test]
    fn a_misspelt_field_is_pointed_at_with_the_near_one() {
        refused(
            r#"const ELEMENT = #{ summary: "s", depend: [] };"#,
            "no field `depend`; did you mean `depends`?",
            "depend",
        );
        refused(
            r#"const ELEMENT = #{ summary: "s", options: #{ a: #{ type: "int", defaultvalue: 1 } } };"#,
            "option `a` has no field `defaultvalue`; did you mean `default_value`?",
            "defaultvalue",
        );
    }

    #[test]
    fn types_are_checked_at_the_value() {
        refused(r#"const ELEMENT = #{ summary: 3 };"#, "`summary` must be a string", "3");
        refused(r#"const ELEMENT = #{ summary: "s", depends: "a" };"#, "must be an array of strings", "\"a\"");
        refused(
            r#"const ELEMENT = #{ summary: "s", options: #{ a: #{ type: "int", help: "h", default_value: "x" } } };"#,
            "`default_value` must be a whole number",
            "\"x\"",
        );
        refused(
            r#"const ELEMENT = #{ summary: "s", options: #{ a: #{ type: "real", help: "h" } } };"#,
            "no type `real`",
            "\"real\"",
        );
        refused(r#"const ELEMENT = #{ summary: "s", boot_loader: "lilo" };"#, "no boot loader `lilo`", "\"lilo\"");
        refused(r#"const ELEMENT = #{ depends: [] };"#, "lacks the field `summary`", "#{");
    }

    #[test]
    fn an_architecture_is_one_of_debians() {
        let with = |names: &str| format!("const ELEMENT = #{{ summary: \"s\", architectures: {names} }};");
        refused(&with("[\"amd64\", \"x86_64\"]"), "Debian calls `x86_64` `amd64`", "\"x86_64\"");
        refused(&with("[\"amd46\"]"), "no architecture `amd46`: there are amd64, arm64", "\"amd46\"");
        refused(&with("[]"), "would work nowhere", "[");
    }

    #[test]
    fn phase_functions_are_checked() {
        let with = |code: &str| format!("const ELEMENT = #{{ summary: \"s\", }};\n{code}");
        refused(&with("fn instal(image) {}"), "no phase `instal`; did you mean `install`?", "instal");
        refused(&with("fn postinstall(image) {}"), "did you mean `post_install`?", "postinstall");
        refused(&with("fn finalize(image) {}"), "did you mean `finalise`?", "finalize");
        refused(&with("fn install(image, x) {}"), "takes one parameter", "install");
        assert!(manifest(&with("fn boot(image) {} fn uninstall_all(x) {} fn instal(a, b) {}")).is_ok());
    }

    #[test]
    fn an_order_without_its_function_is_refused() {
        let with = |order: &str| {
            format!("const ELEMENT = #{{ summary: \"s\", order: #{{ {order} }} }};\nfn install(image) {{}}")
        };
        refused(&with("instal: \"1\""), "no phase `instal`; did you mean `install`?", "instal");
        refused(&with("root: \"1\""), "has no `fn root(image)`", "root");
        refused(&with("install: \"1.2\""), "no sort key", "\"1.2\"");
    }

    #[test]
    fn a_built_in_stage_is_one_that_there_is_alone_in_its_phase() {
        let with = |stages: &str, code: &str| {
            format!(
                "const ELEMENT = #{{ summary: \"s\", built_in: #{{ {stages} }}, order: #{{ install: \"10-x\" }} }};\n{code}"
            )
        };
        let manifest = manifest(&with("install: \"install-static\"", "")).unwrap();
        assert_eq!(manifest.built_in[&Phase::Install], "install-static");
        assert_eq!(manifest.order[&Phase::Install], "10-x");
        refused(
            &with("install: \"instal-static\"", ""),
            "no built-in stage `instal-static`; did you mean `install-static`?",
            "\"instal-static\"",
        );
        refused(&with("instal: \"install-static\"", ""), "no phase `instal`", "instal");
        let function = "fn install(image) {}";
        refused(&with("install: \"install-static\"", function), "install has both", "install");
    }

    #[test]
    fn an_element_without_a_manifest_is_refused() {
        assert!(manifest("fn install(image) {}").unwrap_err().message.contains("const ELEMENT"));
    }
}
