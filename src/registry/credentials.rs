//! Who asks: what `podman login` and `docker login` left.
//!
//! In: the text of their file. Out: for a registry, the word for an `Authorization` header. Not here: where the file is.

use camino::Utf8Path;
use serde_json::Value;

use super::RegistryError;

/// User and password as HTTP's basic scheme sends them: base64, never shown.
#[derive(Clone)]
pub struct Credentials(pub(super) String);

impl Credentials {
    /// Those for `host` in the file at `path`; `None` when it has none.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn read(path: &Utf8Path, host: &str) -> Result<Option<Self>, RegistryError> {
        let wrong = |reason: String| RegistryError::Credentials { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        // The reason would quote the file.
        let file: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("it is not JSON".into()))?;
        let known = [host.to_owned(), format!("https://{host}"), format!("https://{host}/v1/")];
        let found = known.iter().find_map(|name| file["auths"][name]["auth"].as_str());
        let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte));
        Ok(found.filter(plain).map(|text| Self(text.to_owned())))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_login_is_read_and_its_words_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("auth.json");
        std::fs::write(&path, r#"{"auths": {"registry.example:5000": {"auth": "dTpw"}}}"#).unwrap();
        let found = Credentials::read(&path, "registry.example:5000").unwrap().unwrap();
        assert_eq!((found.0.as_str(), format!("{found:?}").as_str()), ("dTpw", "Credentials(hidden)"));
        assert!(Credentials::read(&path, "other.example").unwrap().is_none());
        std::fs::write(&path, "secret").unwrap();
        let error = Credentials::read(&path, "x").unwrap_err().to_string();
        assert!(error.ends_with("it is not JSON"), "{error}");
    }
}
