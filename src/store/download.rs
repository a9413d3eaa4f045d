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
                    if !location.starts_with("http://") {
                        return self.open(&location, offset);
                    }
                    at = location;
                }
                _ => return body(url, answer.status, offset, answer.body),
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
    body(url, response.status().as_u16(), offset, Box::new(response.into_body().into_reader()))
}

/// What an answer with `status` to a request from `offset` on means.
fn body(url: &str, status: u16, offset: u64, reader: Box<dyn Read + Send>) -> Result<Body, StoreError> {
    match status {
        200 => Ok(Body { reader, offset: 0 }),
        206 => Ok(Body { reader, offset }),
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
