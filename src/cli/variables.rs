//! The environment variables that kiln reads, declared once; the only place that looks at the environment.

use std::collections::BTreeMap;
use std::env;

/// Variables without the prefix `DIB_` that a request may depend on: name and meaning.
pub const OTHERS: &[(&str, &str)] = &[
    ("ARCH", "architecture of the image, as `-a`"),
    ("ELEMENTS_PATH", "folders that hold elements, separated by colons; the first wins"),
    ("FS_TYPE", "type of the root file system when the block-device description names none"),
    ("IMAGE_NAME", "name of the image, as `-o`"),
    ("MAX_ONLINE_RESIZE", "bytes up to which the root file system can grow while mounted"),
    ("ROOT_LABEL", "label of the root file system"),
    ("SOURCE_DATE_EPOCH", "latest time stamp in the image, in seconds since the epoch"),
    ("http_proxy", "proxy for http"),
    ("https_proxy", "proxy for https"),
    ("no_proxy", "hosts that are reached without a proxy"),
];

/// Every variable of the environment that a request may depend on.
pub fn collect() -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = vars().filter(|(name, _)| name.starts_with("DIB_")).collect();
    for (name, _) in OTHERS {
        // Proxies come in both spellings; curl and apt read the small one.
        if let Some(value) = var(name).or_else(|| var(&name.to_uppercase())) {
            variables.insert((*name).to_owned(), value);
        }
    }
    variables
}

/// The whole environment.
pub fn environment() -> BTreeMap<String, String> {
    vars().collect()
}

fn vars() -> impl Iterator<Item = (String, String)> {
    // `vars` would panic at a variable that is not UTF-8.
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The value of one variable, when it is set to more than nothing.
#[expect(clippy::disallowed_methods, reason = "this is the place that looks at the environment")]
pub fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
