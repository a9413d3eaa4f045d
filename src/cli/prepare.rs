//! From words to a plan, and every refusal that can be made before the slow part.

use camino::{Utf8Path, Utf8PathBuf};

use super::words::ImageArgs;
use super::{conditions, meaning, variables};
use crate::element::{self, Catalog, Element, ElementError};
use crate::lint;
use crate::plan::{self, Plan};
use crate::request::Request;
use crate::store::builtin;

/// A plan and where it will be carried out.
pub struct Prepared {
    /// What will happen.
    pub plan: Plan,
    /// What is kept between builds.
    pub store: Utf8PathBuf,
}

/// Plans what `args` ask for. The error is complete text.
pub fn prepare(args: &ImageArgs, colour: bool) -> Result<Prepared, String> {
    plan(args.request()?, args.store()?, colour)
}

/// Plans `request`, to be carried out with `store`. The error is complete text.
pub fn plan(mut request: Request, store: Utf8PathBuf, colour: bool) -> Result<Prepared, String> {
    let builtin = builtin::elements(&store)
        .map_err(|error| format!("cannot write to the store at {store}: {error}; name another with --store"))?;
    let block_device = super::checks::block_device_override(&mut request)?;
    let catalog = catalog(&request, &builtin).map_err(|error| explain(&error, colour))?;
    let elements = element::resolve(&request, &catalog).map_err(|error| explain(&error, colour))?;
    warn(&elements);
    check(&elements, &builtin, colour)?;
    // Hooks look for elements where kiln does. Upstream's package-installs takes what every folder says of a name: kiln's own elements
    // have a say only where one of them is part of the image.
    let own = elements.iter().any(|element| is_own(element, &builtin)).then_some(&builtin);
    let search_path = request.search_path.iter().chain(own).map(|folder| folder.as_str());
    request.environment.insert("ELEMENTS_PATH".to_owned(), search_path.collect::<Vec<_>>().join(":"));
    let mut settings = element::settings(&request, &elements).map_err(|error| explain(&error, colour))?;
    if conditions::are_asked(&elements) {
        settings.seen_by_conditions = conditions::variables(&request, &elements, &settings, &store)?;
    }
    let block_device = match block_device {
        None => super::disk_functions::described(&request, &elements, &settings, colour)?,
        given => given,
    };
    let plan = plan::assemble(&request, &elements, &settings, block_device).map_err(|error| error.to_string())?;
    Ok(Prepared { plan, store })
}

/// The elements that `request` can name.
///
/// # Errors
/// As [`Catalog::new`].
pub fn catalog(request: &Request, builtin: &Utf8Path) -> Result<Catalog, ElementError> {
    let read = if request.dib_strict { Catalog::strict } else { Catalog::new };
    read(&request.search_path, builtin)
}

/// Says what the files of elements are warned of.
pub fn warn(elements: &[Element]) {
    for warning in elements.iter().flat_map(|element| &element.warnings) {
        super::warn(warning);
    }
}

/// The element comes with kiln, whose own elements are in the folder `builtin`.
fn is_own(element: &Element, builtin: &Utf8Path) -> bool {
    element.directory.starts_with(builtin)
}

/// Refuses elements whose scripts cannot work: calls of what there is not, permissions that are not declared. kiln's own, in `builtin`,
/// are checked by its tests.
pub fn check(elements: &[Element], builtin: &Utf8Path, colour: bool) -> Result<(), String> {
    let mut found = Vec::new();
    for element in elements.iter().filter(|element| !is_own(element, builtin)) {
        found.extend(lint::run::before_a_build(element).map_err(|error| explain(&error, colour))?);
    }
    if found.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = found.iter().map(|diagnostic| diagnostic.render(colour)).collect();
    Err(texts.join("\n\n"))
}

/// The element `name` of these folders, those of `ELEMENTS_PATH` and kiln's own.
pub fn element(name: &str, folders: &[Utf8PathBuf], store: Option<&Utf8Path>) -> Result<Option<Element>, String> {
    let colour = super::colour();
    let environment = variables::environment();
    let store = meaning::store(store, &environment)?;
    let builtin =
        builtin::elements(&store).map_err(|error| format!("cannot write to the store at {store}: {error}"))?;
    let search_path = meaning::search_path(folders, &environment)?;
    let catalog = Catalog::new(&search_path, &builtin).map_err(|error| explain(&error, colour))?;
    catalog.load(name).map_err(|error| explain(&error, colour))
}

/// The error with its place in the user's file, when it has one.
pub fn explain(error: &ElementError, colour: bool) -> String {
    match error.diagnostic() {
        Some(diagnostic) => diagnostic.render(colour),
        None => error.to_string(),
    }
}
