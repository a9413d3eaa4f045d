//! The environment variables that kiln reads, declared once; the only place that looks at the environment.

use std::collections::BTreeMap;
use std::env;

/// Variables without the prefix `DIB_` that a request may depend on: name and meaning.
pub const OTHERS: &[(&str, &str)] = &[
    ("ARCH", "architecture of the image, as `-a`"),
    ("ELEMENTS_PATH", "folders that hold elements, separated by colons; the first wins"),
    ("FS_TYPE", "type of the root file system when the block-device description names none"),
    ("IMAGE_NAME", "name of the image, as `-o`"),
    ("MAX_ONLINE_RESIZE", "blocks up to which the root file system can grow while mounted"),
    ("ROOT_LABEL", "label of the root file system"),
    ("SOURCE_DATE_EPOCH", "latest time stamp in the image, in seconds since the epoch"),
    ("http_proxy", "proxy for http"),
    ("https_proxy", "proxy for https"),
    ("no_proxy", "hosts that are reached without a proxy"),
];

/// What a process was started with, name and value.
pub type Environment = BTreeMap<String, String>;

/// Every variable of `environment` that a request may depend on.
pub fn collect(environment: &Environment) -> BTreeMap<String, String> {
    let dib = environment.iter().filter(|(name, _)| name.starts_with("DIB_"));
    let mut variables: BTreeMap<String, String> = dib.map(|(name, value)| (name.clone(), value.clone())).collect();
    for (name, _) in OTHERS {
        // Proxies come in both spellings; curl and apt read the small one.
        if let Some(found) = value(environment, name).or_else(|| value(environment, &name.to_uppercase())) {
            variables.insert((*name).to_owned(), found.clone());
        }
    }
    variables
}

/// Whether a request may depend on the variable `name`.
pub fn is_known(name: &str) -> bool {
    name.starts_with("DIB_") || OTHERS.iter().any(|(known, _)| *known == name)
}

/// The value of a variable that is set to more than nothing.
pub fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a String> {
    environment.get(name).filter(|value| !value.is_empty())
}

/// The whole environment of this process.
pub fn environment() -> Environment {
    // `vars` would panic at a variable that is not UTF-8.
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// The value of one variable of this process, when it is set to more than nothing.
#[expect(clippy::disallowed_methods, reason = "this is the place that looks at the environment")]
pub fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
