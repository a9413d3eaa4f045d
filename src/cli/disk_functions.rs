//! The disk's layout as elements describe it in functions.
//!
//! In: elements that have the permission `disk` and a function for the phase `block_device`. Out: a block-device description,
//! one node a line, as a `block-device-*.yaml` would hold it. The functions run on an image in memory: they see facts and
//! options, and what they change besides the disk is forgotten. Not here: what the nodes mean (`disk/config`).

use camino::Utf8PathBuf;

use crate::disk;
use crate::element::{Element, HookKind, Settings};
use crate::event::Events;
use crate::plan::{Phase, PlannedElement};
use crate::request::Request;
use crate::script::image::Declared;
use crate::script::run::{self, Call};
use crate::script::source::Sources;
use crate::target::Facts;

/// The description and where it comes from; nothing when no element describes the disk. The error is complete text.
pub fn described(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    colour: bool,
) -> Result<Option<(String, String)>, String> {
    let mut said: Vec<(String, Vec<Declared>, Sources)> = Vec::new();
    for element in elements.iter().filter(|element| element.permissions.iter().any(|grant| grant == "disk")) {
        for hook in element.hooks.iter().filter(|hook| hook.phase == Phase::BlockDevice) {
            let HookKind::Script { file, function } = &hook.kind else { continue };
            let call = Call {
                element: planned(element, settings),
                file: file.clone(),
                function: function.clone(),
                facts: facts(request, elements, settings),
            };
            let (nodes, sources) = run::declared(&call, &Events::none()).map_err(|failed| failed.render(colour))?;
            if !nodes.is_empty() {
                said.push((origin(element, file), nodes, sources));
            }
        }
    }
    let Some((first, _, _)) = said.first() else { return Ok(None) };
    if let Some(other) = elements.iter().find(|element| element.block_device(&request.arch).is_some()) {
        let other = &other.name;
        return Err(format!("{first} describes the disk, and so does a file of `{other}`: take one of them away"));
    }
    let origin = first.clone();
    let mut places = Vec::new();
    let mut text = "[\n".to_owned();
    for (_, nodes, sources) in &said {
        for node in nodes {
            text.push_str(&node.node.to_string());
            text.push_str(",\n");
            places.push((node, sources));
        }
    }
    text.push_str("]\n");
    match disk::config::parse(&text, &origin) {
        Ok(_) => Ok(Some((origin, text))),
        Err(error) => {
            let mut diagnostic = *error.diagnostic;
            // The first node is in the second line.
            let at = error.line.checked_sub(2).and_then(|index| places.get(index)).or(places.last());
            let label = at.and_then(|(node, sources)| sources.label(&node.site.source, node.site.position, ""));
            diagnostic.labels = label.into_iter().collect();
            Err(diagnostic.render(colour))
        }
    }
}

fn origin(element: &Element, file: &Utf8PathBuf) -> String {
    format!("{}/{}", element.name, file.strip_prefix(&element.directory).unwrap_or(file))
}

fn planned(element: &Element, settings: &Settings) -> PlannedElement {
    PlannedElement {
        name: element.name.clone(),
        directory: element.directory.clone(),
        permissions: element.permissions.clone(),
        options: settings.options.get(&element.name).cloned().unwrap_or_default(),
    }
}

/// What is known before there is a layout: labels are not.
fn facts(request: &Request, elements: &[Element], settings: &Settings) -> Facts {
    let maker = elements.iter().find(|element| element.system.is_some());
    let system = maker.and_then(|element| element.system.clone()).unwrap_or_default();
    let options = maker.and_then(|element| settings.options.get(&element.name));
    let release = options.and_then(|options| options.get("release")).and_then(|release| release.as_str());
    Facts {
        distribution: system.distribution,
        family: system.family,
        release: release.unwrap_or_default().to_owned(),
        arch: request.arch.clone(),
        image_name: request.output.file_name().unwrap_or("image").to_owned(),
        root_label: request.root_label.clone().unwrap_or_default(),
        boot_label: String::new(),
        elements: elements.iter().map(|element| element.name.clone()).collect(),
        variables: settings.variables.clone(),
    }
}
