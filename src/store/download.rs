//! Fetches bytes from a URL: `http:`, `https:`, and the local `file:` and `copy:` of APT.
//!
//! In: a URL, an offset to go on from. Out: a reader, or small files whole. Proxies come from a map of variables, as the user
//! set them for the build; the process environment is never read. Not here: what is kept (`packages`).

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use ureq::{Agent, Proxy};

use super::StoreError;

/// Attempts before a network error is final; the pauses between them double from [`FIRST_PAUSE`].
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// Connections to mirrors, with the proxies that the build's variables name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    http: Agent,
    https: Agent,
    /// The proxy for `http:`.
    proxy: Option<Proxy>,
}

/// A body under way.
pub struct Body {
    /// The bytes from `offset` on.
    pub reader: Box<dyn Read + Send>,
    /// Where the bytes begin: what was asked for, or 0 when the server only gives the whole.
    pub offset: u64,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A fetcher that honours `http_proxy`, `https_proxy` and `no_proxy` (either case) of `variables`.
    ///
    /// # Errors
    /// When a proxy variable is no URL.
    pub fn new(variables: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        let http = proxy(variables, "http_proxy")?;
        Ok(Self { http: agent(None), https: agent(proxy(variables, "https_proxy")?), proxy: http })
    }

    /// Opens `url` from `offset` on; one attempt.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the server denies it, [`StoreError::Network`] for all that may pass.
    pub fn open(&self, url: &str, offset: u64) -> Result<Body, StoreError> {
        let body = self.open_at(url, offset)?;
        // A server that sends another part than it was asked for is asked for the whole.
        if body.offset == offset || body.offset == 0 { Ok(body) } else { self.open_at(url, 0) }
    }

    fn open_at(&self, url: &str, offset: u64) -> Result<Body, StoreError> {
        match url.split_once(':') {
            Some(("http", _)) => match self.proxy.as_ref().filter(|proxy| !excepted(proxy, url)) {
                Some(proxy) => self.proxied(proxy, url, offset),
                None => remote(&self.http, url, offset),
            },
            Some(("https", _)) => remote(&self.https, url, offset),
            Some(("file" | "copy", rest)) => local(url, rest, offset),
            _ => Err(StoreError::Scheme { url: url.to_owned() }),
        }
    }

    fn proxied(&self, proxy: &Proxy, url: &str, offset: u64) -> Result<Body, StoreError> {
        let mut at = url.to_owned();
        for _ in 0..10 {
            let answer = super::proxy::get(proxy, &at, offset).map_err(|error| network(url, &error))?;
            match answer.location {
                Some(location) if (300..400).contains(&answer.status) => {
                    at = join(&at, &location).ok_or_else(|| StoreError::Scheme { url: location.clone() })?;
                    if at.starts_with("https:") || excepted(proxy, &at) {
                        return self.open(&at, offset);
                    }
                }
                _ => return body(url, answer.status, offset, answer.range.as_deref(), answer.body),
            }
        }
        Err(network(url, &"it is redirected again and again"))
    }

    /// The whole of a small file, with retries; `limit` bounds its size in bytes.
    ///
    /// # Errors
    /// As [`Self::open`], and when it is longer than `limit`.
    pub fn bytes(&self, url: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        retry(|| {
            let mut bytes = Vec::new();
            let body = self.open(url, 0)?;
            body.reader.take(limit + 1).read_to_end(&mut bytes).map_err(|error| network(url, &error))?;
            if bytes.len() as u64 > limit {
                return Err(network(url, &format!("it is longer than {limit} bytes")));
            }
            Ok(bytes)
        })
    }
}

/// Runs `attempt` until it succeeds, fails for good, or has failed [`ATTEMPTS`] times.
pub(super) fn retry<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(StoreError::Network { .. }) => std::thread::sleep(pause),
            other => return other,
        }
        pause *= 2;
    }
    attempt()
}

/// A failure that another attempt may mend.
pub(super) fn network(url: &str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Network { url: url.to_owned(), reason: reason.to_string() }
}

/// For tests: whether a request for `url` is made to the proxy.
#[cfg(test)]
pub(super) fn goes_through_proxy(fetcher: &Fetcher, url: &str) -> bool {
    fetcher.proxy.as_ref().is_some_and(|proxy| !excepted(proxy, url))
}

/// Whether `no_proxy` names the host of `url`.
fn excepted(proxy: &Proxy, url: &str) -> bool {
    url.parse().is_ok_and(|uri| proxy.is_no_proxy(&uri))
}

fn proxy(variables: &BTreeMap<String, String>, variable: &str) -> Result<Option<Proxy>, StoreError> {
    let lookup = |name: &str| {
        let value = variables.get(name).or_else(|| variables.get(&name.to_uppercase()));
        value.filter(|value| !value.is_empty())
    };
    let Some(value) = lookup(variable) else { return Ok(None) };
    let wrong = |reason: ureq::Error| StoreError::Proxy {
        variable: variable.to_owned(),
        value: value.clone(),
        reason: reason.to_string(),
    };
    // Requests for http: are made by `super::proxy`, which speaks no TLS; SOCKS is spoken by nobody here.
    let known = match value.split_once("://") {
        None => true,
        Some((scheme, _)) => {
            let scheme = scheme.to_ascii_lowercase();
            scheme == "http" || scheme == "https" && variable == "https_proxy" || scheme.is_empty()
        }
    };
    if !known {
        return Err(StoreError::Proxy {
            variable: variable.to_owned(),
            value: value.clone(),
            reason: "kiln speaks only HTTP to proxies".into(),
        });
    }
    let plain = Proxy::new(value).map_err(wrong)?;
    let Some(exceptions) = lookup("no_proxy") else { return Ok(Some(plain)) };
    let mut builder = Proxy::builder(plain.protocol()).host(plain.host()).port(plain.port());
    if let (Some(user), Some(password)) = (plain.username(), plain.password()) {
        builder = builder.username(user).password(password);
    }
    for exception in exceptions.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        builder = builder.no_proxy(exception);
    }
    builder.build().map(Some).map_err(wrong)
}

fn agent(proxy: Option<Proxy>) -> Agent {
    let config = Agent::config_builder()
        .proxy(proxy)
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .max_idle_connections_per_host(16)
        .input_buffer_size(256 * 1024)
        .build();
    config.new_agent()
}

fn remote(agent: &Agent, url: &str, offset: u64) -> Result<Body, StoreError> {
    // The bytes as they lie on the server: a transfer encoding would break digests and resumption.
    let mut request = agent.get(url).header("Accept-Encoding", "identity");
    if offset > 0 {
        request = request.header("Range", format!("bytes={offset}-"));
    }
    let response = request.call().map_err(|error| network(url, &error))?;
    let range = response.headers().get("Content-Range").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    body(url, status, offset, range.as_deref(), Box::new(response.into_body().into_reader()))
}

/// Where a redirection from the URL `base` to `location` leads (RFC 3986 §5.2), when that is `http:` or `https:`.
fn join(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = |url: &str| -> Option<String> {
        let (scheme, _) = url.split_once(':')?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        scheme.bytes().all(letter).then(|| scheme.to_ascii_lowercase())
    };
    if let Some(scheme) = scheme(location) {
        let rest = &location[scheme.len()..];
        let whole = matches!(scheme.as_str(), "http" | "https") && rest.starts_with("://");
        return whole.then(|| format!("{scheme}{rest}"));
    }
    let (scheme, rest) = base.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if let Some(other) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{other}"));
    }
    let (path, query) = match location.split_once('?') {
        _ if location.is_empty() => (path.to_owned(), None),
        Some(("", query)) => (path.to_owned(), Some(query)),
        found => {
            let (place, query) = found.map_or((location, None), |(place, query)| (place, Some(query)));
            let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
            (if place.starts_with('/') { place.to_owned() } else { format!("{folder}{place}") }, query)
        }
    };
    let mut parts: Vec<&str> = Vec::new();
    let all: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (at, part) in all.iter().enumerate() {
        match *part {
            "." | ".." => {
                if *part == ".." {
                    parts.pop();
                }
                if at + 1 == all.len() {
                    parts.push("");
                }
            }
            part => parts.push(part),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{host}/{}{query}", parts.join("/")))
}

/// Where `bytes START-END/TOTAL` starts (RFC 9110 §14.4).
fn start(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// What an answer with `status` and Content-Range `range` to a request from `offset` on means.
fn body(
    url: &str,
    status: u16,
    offset: u64,
    range: Option<&str>,
    reader: Box<dyn Read + Send>,
) -> Result<Body, StoreError> {
    match status {
        200 => Ok(Body { reader, offset: 0 }),
        206 => {
            let found = range.map_or(Some(offset), start).unwrap_or(u64::MAX);
            if offset == 0 && found != 0 {
                return Err(network(url, &"the server sends a part that nobody asked for"));
            }
            Ok(Body { reader, offset: found })
        }
        // Nothing is left after `offset`: the caller compares sizes and digests.
        416 => Ok(Body { reader: Box::new(std::io::empty()), offset }),
        401 | 403 | 404 | 410 => Err(StoreError::Missing { url: url.to_owned(), status }),
        status => Err(network(url, &format!("the server answered with status {status}"))),
    }
}

fn local(url: &str, rest: &str, offset: u64) -> Result<Body, StoreError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let open = || -> std::io::Result<std::fs::File> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    };
    match open() {
        Ok(file) => Ok(Body { reader: Box::new(file), offset }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::Missing { url: url.to_owned(), status: 404 })
        }
        Err(source) => Err(StoreError::File { action: "read", path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_joined_and_lead_only_to_http() {
        let base = "http://m.example/debian/pool/a.deb?x=1";
        for (location, wanted) in [
            ("http://o.example/b", Some("http://o.example/b")),
            ("HTTPS://o.example/b#part", Some("https://o.example/b")),
            ("//o.example/b", Some("http://o.example/b")),
            ("/b?c=http://d", Some("http://m.example/b?c=http://d")),
            ("b.deb", Some("http://m.example/debian/pool/b.deb")),
            ("../b/./c", Some("http://m.example/debian/b/c")),
            ("../../../..", Some("http://m.example/")),
            ("a_1:2.deb", Some("http://m.example/debian/pool/a_1:2.deb")),
            ("?y", Some("http://m.example/debian/pool/a.deb?y")),
            ("file:///etc/passwd", None),
            ("copy:/etc/passwd", None),
            ("ftp://o.example/", None),
        ] {
            assert_eq!(join(base, location).as_deref(), wanted, "{location}");
        }
        assert_eq!(join("http://m.example", "b").as_deref(), Some("http://m.example/b"));
    }

    #[test]
    fn a_proxy_that_is_not_spoken_to_over_http_is_refused_by_name() {
        for (variable, value) in
            [("http_proxy", "https://p:1"), ("http_proxy", "socks5://p:1"), ("https_proxy", "socks4://p:1")]
        {
            let variables = BTreeMap::from([(variable.to_owned(), value.to_owned())]);
            let error = Fetcher::new(&variables).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains("http://HOST:PORT"), "{error}");
        }
        Fetcher::new(&BTreeMap::from([("http_proxy".to_owned(), "p:1".to_owned())])).unwrap();
    }
}
