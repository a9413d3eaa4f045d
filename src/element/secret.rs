//! What must not be written down: values whose names promise a secret, and credentials in addresses.
//!
//! In: names and values of variables and options. Out: what may be shown. Not here: where it is shown.

/// What stands for a secret.
pub const HIDDEN: &str = "(hidden)";

/// Whether a variable or option of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL"];
    let name = name.to_uppercase();
    // `…_KEY`, but not `KEYRING`.
    name.ends_with("KEY") || WORDS.iter().any(|word| name.contains(word))
}

/// `value` as it may be shown: nothing of it when its name promises a secret, else without the user information of addresses
/// (`https://user:password@host/`).
pub fn shown(name: &str, value: &str) -> String {
    if is_secret(name) { HIDDEN.to_owned() } else { without_user_information(value) }
}

/// `text` with the user information of every address in it hidden (RFC 3986, 3.2.1).
fn without_user_information(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        let (authority, beyond) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.extend([HIDDEN, "@", host]),
            None => shown.push_str(authority),
        }
        rest = beyond;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_promise_a_secret_are_recognised() {
        for name in
            ["DIB_DEV_USER_PASSWORD", "DIB_PASSWD", "devuser.passphrase", "DIB_X_CREDENTIALS", "DIB_API_KEY", "a.b_key"]
        {
            assert_eq!(shown(name, "x"), HIDDEN, "{name}");
        }
        for name in ["DIB_APT_KEYRING", "DIB_RELEASE", "debian-minimal.mirror"] {
            assert_eq!(shown(name, "x"), "x", "{name}");
        }
    }

    #[test]
    fn addresses_lose_their_credentials_and_nothing_else() {
        assert_eq!(shown("http_proxy", "http://me:pw@proxy.example:3128/"), "http://(hidden)@proxy.example:3128/");
        let sources = "a:deb http://t@a.example/d x main\nb:deb https://b.example/e@f y";
        assert_eq!(shown("x", sources), "a:deb http://(hidden)@a.example/d x main\nb:deb https://b.example/e@f y");
        assert_eq!(shown("mail", "me@a.example"), "me@a.example");
    }
}
