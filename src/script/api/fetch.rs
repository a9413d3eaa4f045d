//! Downloads. Needs `fetch:` with the host of the address; a digest says what must come.

use rhai::plugin::*;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use crate::target::outside::Material;

/// The host of an address, for its permission. Addresses with a user's name would hold credentials.
///
/// # Errors
/// `usage.url`.
pub fn host(url: &str, schemes: &[&str]) -> Result<String, HostError> {
    let wrong = |reason: &str| {
        let error = HostError::usage("url", format!("cannot fetch `{url}`: {reason}"));
        error.help(format!("write an address that begins with {}", schemes.join(" or ")))
    };
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or_else(|| wrong("no such address"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong("it holds a user's name or a password"));
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let good = |letter: char| letter.is_ascii_alphanumeric() || ".-:_".contains(letter);
    if host.is_empty() || !host.chars().all(good) || url.contains(char::is_whitespace) {
        return Err(wrong("it names no host"));
    }
    Ok(host.to_ascii_lowercase())
}

/// A digest or a commit in small letters.
///
/// # Errors
/// It has another length or other signs; `help` says what is wanted.
pub fn hex(what: &str, text: &str, lengths: &[usize], help: &str) -> Result<String, HostError> {
    if lengths.contains(&text.len()) && text.chars().all(|letter| letter.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(HostError::usage(what, format!("`{text}` is no {what}")).help(help))
}

/// Downloads.
#[export_module]
pub mod verbs {
    /// A file that was fetched, for `copy_in` and `extract`.
    pub type Download = Material;

    /// Fetches a file whose content has this SHA-256 digest (64 hexadecimal digits). A file that was fetched before is taken
    /// from the store.
    #[rhai_fn(return_raw)]
    pub fn fetch(ctx: NativeCallContext<'_>, image: &mut Image, url: &str, sha256: &str) -> RhaiResult<Material> {
        let _running = image.enter(&ctx);
        let host = host(url, &["https://", "http://"])?;
        let digest = sha256.strip_prefix("sha256:").unwrap_or(sha256);
        let digest = hex("digest", digest, &[64], "write the file's SHA-256, as `sha256sum` prints it")?;
        image.need(&ctx, &Permission::Fetch(host))?;
        image.record(&ctx, vec![url.into(), digest.as_str().into()])?;
        Ok(image.target().outside().fetch(url, &digest).map_err(HostError::from)?)
    }

    /// Its address.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn text(download: &mut Material) -> String {
        download.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_an_address_is_what_is_asked_for() {
        let of = |url| host(url, &["https://", "http://"]).map_err(|error| error.code);
        assert_eq!(of("https://Files.example:8443/a?b").as_deref(), Ok("files.example"));
        assert_eq!(of("http://[::1]:80/a").as_deref(), Ok("::1"));
        for bad in [
            "file:///etc/passwd",
            "https://",
            "https://user:word@a.example/",
            "ftp://a.example/",
            "https://a b/",
            "https://a.example\n/",
        ] {
            assert_eq!(of(bad), Err("usage.url".to_owned()), "{bad}");
        }
        // What a host could be mistaken for is not cut off.
        assert_eq!(of("https://a.example\\@b.example/"), Err("usage.url".to_owned()));
    }
}
