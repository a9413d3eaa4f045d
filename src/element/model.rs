//! An element, read.
//!
//! In: its folder. Out: all that planning needs to know of it. Nothing in it was run. Not here: other elements.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::manifest::{self, Manifest};
use super::packages::{self, Wish};
use super::pkg_map::PackageMap;
use super::{ElementError, Hook, HookKind, OptionSpec, hooks};
use crate::plan::Phase;
use crate::script::syntax::Source;

/// A folder that adds something to an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Its name: the folder's.
    pub name: String,
    /// Its folder.
    pub directory: Utf8PathBuf,
    /// What it is for, in a line; empty when it does not say.
    pub summary: String,
    /// Names of elements that it needs, or of what they provide.
    pub depends: Vec<String>,
    /// What it stands for, such as `operating-system`.
    pub provides: Vec<String>,
    /// Architectures that it works on, in Debian's spelling; empty means all.
    pub architectures: Vec<String>,
    /// What its scripts may do.
    pub permissions: Vec<String>,
    /// Options that it offers.
    pub options: BTreeMap<String, OptionSpec>,
    /// Variables that it sets unless they are set, in the order of the source.
    pub environment: Vec<(String, String)>,
    /// The operating system that it makes.
    pub system: Option<OperatingSystem>,
    /// The boot loader that kiln installs right after its finalise hook.
    pub boot_loader: Option<String>,
    /// Its hooks, in the order in which they run.
    pub hooks: Vec<Hook>,
    /// Packages that it declares.
    pub packages: Vec<Wish>,
    /// What its author or user should know, each a sentence that names the file.
    pub warnings: Vec<String>,
    /// What its packages are called on each distribution.
    pub package_map: Option<PackageMap>,
    /// Files below its folder that do not come among the hooks: another element's take their place.
    pub left_out: Vec<Utf8PathBuf>,
}

/// The operating system that an element makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatingSystem {
    /// `debian`
    pub distribution: String,
    /// `debian`
    pub family: String,
    /// `apt`
    pub package_manager: String,
    /// Packages beyond the distribution's own base.
    pub packages: Vec<String>,
}

impl Element {
    /// Reads the element `name` in `directory`.
    ///
    /// # Errors
    /// A file of it cannot be read or is wrong.
    pub fn load(name: &str, directory: &Utf8Path) -> Result<Self, ElementError> {
        let mut hooks = hooks::read(name, directory)?;
        let script = directory.join("element.rhai");
        let source = script.is_file().then(|| hooks::read_script(name, directory, &script)).transpose()?;
        let manifest = match &source {
            Some(source) => manifest::rhai::read(source)?,
            None => Manifest::default(),
        };
        if let Some(source) = &source {
            for phase in manifest::rhai::phases(source) {
                let key = manifest.order.get(&phase).cloned().unwrap_or_else(|| format!("50-{name}"));
                let kind = HookKind::Script { file: script.clone(), function: phase.function() };
                hooks.push(Hook { phase, key, kind });
            }
            for (phase, stage) in &manifest.built_in {
                let key = manifest.order.get(phase).cloned().unwrap_or_else(|| format!("50-{name}"));
                hooks.push(Hook { phase: *phase, key, kind: HookKind::BuiltIn { name: stage.clone() } });
            }
            hooks::sort(&mut hooks);
            if manifest.boot_loader.is_some() {
                let finalise = hooks.iter().filter(|hook| hook.phase == Phase::Finalise).count();
                manifest::rhai::check_boot_loader(source, finalise)?;
            }
        }
        let (wishes, mut warnings) = packages::read(directory, false)?;
        for file in ["element-deps", "element-provides"] {
            warnings.extend(manifest::dib::comment(directory, file)?);
        }
        Ok(Self {
            name: name.into(),
            directory: directory.into(),
            summary: manifest.summary,
            depends: merged(source.as_ref(), "depends", manifest.depends, directory, "element-deps")?,
            provides: merged(source.as_ref(), "provides", manifest.provides, directory, "element-provides")?,
            architectures: manifest.architectures,
            permissions: manifest.permissions,
            options: manifest.options,
            environment: manifest.environment,
            system: manifest.system,
            boot_loader: manifest.boot_loader,
            hooks,
            packages: wishes,
            warnings,
            package_map: PackageMap::read(directory)?,
            left_out: Vec::new(),
        })
    }

    /// Whether it works on `arch` (Debian's spelling).
    pub fn supports(&self, arch: &str) -> bool {
        self.architectures.is_empty() || self.architectures.iter().any(|name| name == arch)
    }

    /// The element's block-device description for `arch` (Debian's spelling), when it has one.
    pub fn block_device(&self, arch: &str) -> Option<Utf8PathBuf> {
        let arch = if matches!(arch, "ppc64" | "ppc64le" | "ppc64el") { "ppc64el" } else { arch };
        [format!("block-device-{arch}.yaml"), "block-device-default.yaml".to_string()]
            .into_iter()
            .map(|name| self.directory.join(name))
            .find(|path| path.is_file())
    }
}

/// A field that the manifest or a file of DIB may give, but not both.
fn merged(
    source: Option<&Source>,
    field: &str,
    given: Option<Vec<String>>,
    directory: &Utf8Path,
    file: &str,
) -> Result<Vec<String>, ElementError> {
    let in_file = manifest::dib::names(directory, file)?;
    match (source, given, in_file) {
        (Some(source), Some(_), Some(_)) => {
            let span = source.text.find(&format!("{field}:")).map_or(0..0, |start| start..start + field.len());
            let message = format!("`{field}` is given here and in the file {file}");
            let mut diagnostic = source.diagnostic("manifest.twice", message, span, "given twice");
            diagnostic.help.push("keep one of the two".into());
            Err(diagnostic.into())
        }
        (_, given, in_file) => Ok(given.or(in_file).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temp.path().into()).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (temp, root)
    }

    #[test]
    fn phase_functions_and_hook_files_interleave() {
        let (_temp, root) = folder(&[
            (
                "element.rhai",
                "const ELEMENT = #{ summary: \"s\", order: #{ finalise: \"99-last\" } };\nfn install(image) {}\nfn finalise(image) {}",
            ),
            ("install.d/60-after.rhai", "fn install(image) {}"),
            ("install.d/40-before.rhai", "fn install(image) {}"),
        ]);
        let element = Element::load("vim", &root).unwrap();
        let keys: Vec<_> = element.hooks.iter().map(|hook| hook.key.as_str()).collect();
        assert_eq!(keys, ["40-before", "50-vim", "60-after", "99-last"]);
    }

    #[test]
    fn a_boot_loader_needs_exactly_one_finalise_hook() {
        let manifest = "const ELEMENT = #{ summary: \"s\", boot_loader: \"grub\" };\n";
        let function = format!("{manifest}fn finalise(image) {{}}");
        let file = ("finalise.d/50-x.rhai", "fn finalise(image) {}");
        let load = |files: &[(&str, &str)]| {
            let (_temp, root) = folder(files);
            Element::load("x", &root)
        };
        for (files, count) in
            [(&[("element.rhai", manifest)][..], "none"), (&[("element.rhai", function.as_str()), file][..], "2")]
        {
            let error = load(files).unwrap_err();
            assert!(error.to_string().ends_with(&format!("the element has {count}")), "{error}");
            let label = &error.diagnostic().unwrap().labels[0];
            assert_eq!(&label.source[label.span.clone()], "\"grub\"");
        }
        assert!(load(&[("element.rhai", &function)]).is_ok());
        assert!(load(&[("element.rhai", manifest), file]).is_ok());
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let (_temp, root) =
            folder(&[("element.rhai", "const ELEMENT = #{ summary: \"s\", depends: [] };"), ("element-deps", "a\n")]);
        let error = Element::load("x", &root).unwrap_err();
        assert_eq!(error.to_string(), "`depends` is given here and in the file element-deps");
    }

    #[test]
    fn an_element_of_dib_needs_no_manifest() {
        let (_temp, root) = folder(&[("element-deps", "a\nb\n"), ("element-provides", "operating-system\n")]);
        let element = Element::load("x", &root).unwrap();
        assert_eq!(element.depends, ["a", "b"]);
        assert_eq!(element.provides, ["operating-system"]);
    }

    #[test]
    fn a_block_device_file_of_the_architecture_comes_first() {
        let (_temp, root) = folder(&[("block-device-default.yaml", ""), ("block-device-ppc64el.yaml", "")]);
        let element = Element::load("x", &root).unwrap();
        assert_eq!(element.block_device("amd64"), Some(root.join("block-device-default.yaml")));
        assert_eq!(element.block_device("ppc64le"), Some(root.join("block-device-ppc64el.yaml")));
    }
}
