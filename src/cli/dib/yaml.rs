//! `diskimage-builder`: builds the images that YAML files describe.
//!
//! In: words, files. Out: one build after the other, each announced on standard error by the command that it is; an exit
//! status. Not here: what an entry may hold (`definition`), a build (`create`).

use std::fs;
use std::process::ExitCode;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::create::{self, Call, Ended};
use super::definition::Definition;
use super::getopt::{self, Parsed, Spec};
use super::help;
use crate::cli::build::quote;
use crate::cli::variables::Environment;
use crate::request::Kind;

const SPEC: Spec = Spec {
    short: &[('h', false)],
    long: &[("help", false), ("dry-run", false), ("stop-on-failure", false)],
    more: &[],
};

/// The name under which an image stands that has none.
const UNNAMED: &str = "image";

/// Carries out `words` in `environment`.
pub fn run(words: &[String], environment: &Environment) -> ExitCode {
    let Parsed { options, operands: files } = match getopt::parse(words, &SPEC, false) {
        Ok(parsed) => parsed,
        Err(complaints) => return misused(&complaints.join("\ndiskimage-builder: error: ")),
    };
    let asked = |name: &str| options.iter().any(|(option, _)| option == name);
    if asked("h") || asked("help") {
        crate::cli::print(&help::builder());
        return ExitCode::SUCCESS;
    }
    if files.is_empty() {
        return misused("the following arguments are required: FILE");
    }
    let images = match read(&files) {
        Ok(images) => images,
        Err(complaints) => {
            for complaint in complaints {
                eprintln!("diskimage-builder: error: {complaint}");
            }
            return ExitCode::FAILURE;
        }
    };
    build(&images, environment, asked("dry-run"), asked("stop-on-failure"))
}

fn misused(text: &str) -> ExitCode {
    eprintln!("{}\ndiskimage-builder: error: {text}", help::BUILDER_USAGE);
    ExitCode::from(2)
}

/// Builds `images`, with their names; the status is 1 when one has failed.
fn build(images: &[(String, Definition)], environment: &Environment, dry: bool, stop: bool) -> ExitCode {
    let mut failed = Vec::new();
    for (name, image) in images {
        let (program, kind) = if image.is_ramdisk() {
            ("ramdisk-image-create", Kind::Ramdisk)
        } else {
            ("disk-image-create", Kind::Disk)
        };
        let words = image.words();
        eprintln!("{}\n", command_line(program, &words, image));
        if dry {
            continue;
        }
        let mut environment = environment.clone();
        environment.extend(image.environment());
        match create::run(Call { program, kind, words: &words, environment }) {
            Ended { status: 0, .. } => {}
            Ended { status, interrupted: true } => return ExitCode::from(status),
            Ended { status, .. } => {
                failed.push(format!("{name} (exit status {status})"));
                if stop {
                    break;
                }
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("diskimage-builder: {} of {} images failed: {}", failed.len(), images.len(), failed.join(", "));
    ExitCode::FAILURE
}

fn command_line(program: &str, words: &[String], image: &Definition) -> String {
    let variables = image.environment();
    let variables = variables.iter().map(|(name, value)| format!("{name}={}", quote(value)));
    let words = words.iter().map(|word| quote(word));
    variables.chain([program.to_owned()]).chain(words).collect::<Vec<_>>().join(" ")
}

/// The images of all files, those of one name joined, in the order in which names first come up.
fn read(files: &[String]) -> Result<Vec<(String, Definition)>, Vec<String>> {
    let mut images: Vec<(String, Definition)> = Vec::new();
    let mut complaints = Vec::new();
    let mut last = UNNAMED.to_owned();
    for file in files {
        let definitions = match entries(file) {
            Ok(definitions) => definitions,
            Err(found) => {
                complaints.extend(found);
                continue;
            }
        };
        for definition in definitions {
            if let Some(name) = definition.name() {
                name.clone_into(&mut last);
            }
            match images.iter_mut().find(|(name, _)| *name == last) {
                Some((_, known)) => known.merge(definition),
                None => images.push((last.clone(), definition)),
            }
        }
    }
    if complaints.is_empty() { Ok(images) } else { Err(complaints) }
}

/// The entries of one file, or all that is wrong with it.
fn entries(file: &str) -> Result<Vec<Definition>, Vec<String>> {
    let text = fs::read_to_string(file).map_err(|error| vec![format!("cannot read {file}: {error}")])?;
    parse(&text, file)
}

fn parse(text: &str, file: &str) -> Result<Vec<Definition>, Vec<String>> {
    // A package may be called `y`: what a flag may be spelt like is up to `definition`.
    let options = || serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins, strict_booleans: true };
    let broken = |error: serde_saphyr::Error| vec![format!("{file}: {error}")];
    let whole: Value = serde_saphyr::from_str_with_options(text, options()).map_err(broken)?;
    if !whole.is_array() {
        let empty = if whole.is_null() { " is empty; it" } else { "" };
        return Err(vec![format!(
            "{file}{empty} must hold a list of images, each a map such as `- elements: [vm, debian-minimal]`"
        )]);
    }
    let entries: Vec<Spanned<Value>> = serde_saphyr::from_str_with_options(text, options()).map_err(broken)?;
    let mut definitions = Vec::new();
    let mut complaints = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match Definition::read(&entry.value) {
            Ok(definition) => definitions.push(definition),
            Err(found) => {
                let place = format!("{file}:{}: entry {}", entry.referenced.line(), index + 1);
                complaints.extend(found.into_iter().map(|complaint| format!("{place}: {complaint}")));
            }
        }
    }
    if complaints.is_empty() { Ok(definitions) } else { Err(complaints) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and words of the images in `files`.
    fn images(files: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (index, text) in files.iter().enumerate() {
            let path = folder.path().join(format!("{index}.yaml"));
            fs::write(&path, text).unwrap();
            paths.push(path.to_str().unwrap().to_owned());
        }
        let images = read(&paths).map_err(|complaints| complaints.join("\n"))?;
        Ok(images.iter().map(|(name, image)| format!("{name}: {}", image.words().join(" "))).collect())
    }

    #[test]
    fn entries_of_one_name_are_one_image_in_the_order_of_names() {
        let text = "- {imagename: one, elements: [a]}\n- {elements: [b]}\n- {imagename: two, elements: [c]}\n\
                    - {imagename: one, root-label: r}\n- {packages: [p]}\n";
        assert_eq!(images(&[text]).unwrap(), ["one: -o one --root-label r -p p a b", "two: -o two c"]);
    }

    #[test]
    fn an_image_without_a_name_is_called_image_and_gets_no_option() {
        assert_eq!(
            images(&["- elements: [a]\n", "- {imagename: image, elements: [b]}\n"]).unwrap(),
            ["image: -o image a b"]
        );
        assert_eq!(images(&["- elements: [a]\n"]).unwrap(), ["image: a"]);
    }

    #[test]
    fn files_are_read_as_yaml_1_1_is() {
        let text = "- &base\n  elements: [a]\n  checksum: yes\n  environment: {V: \"1\", W: 'no'}\n- <<: *base\n  imagename: x\n  checksum: off\n";
        assert_eq!(images(&[text]).unwrap(), ["image: --checksum a", "x: -o x a"]);
    }

    #[test]
    fn mistakes_name_the_file_the_line_and_the_entry() {
        let said = images(&["- elements: [a]\n\n- environment: {A: 1}\n  colour: red\n"]).unwrap_err();
        assert!(said.contains("0.yaml:3: entry 2: environment.A is 1"), "{said}");
        assert!(said.contains("0.yaml:3: entry 2: `colour` is no key"), "{said}");
        assert!(images(&[""]).unwrap_err().contains("0.yaml is empty; it must hold a list"));
        assert!(images(&["a: b\n"]).unwrap_err().contains("0.yaml must hold a list"));
        assert!(images(&["- [\n"]).unwrap_err().contains("0.yaml"));
        assert!(read(&["/nonexistent.yaml".to_owned()]).unwrap_err()[0].contains("cannot read /nonexistent.yaml"));
    }
}
