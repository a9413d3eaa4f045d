//! Talk with one registry about one repository.
//!
//! In: digests, blobs, a manifest. Out: requests, with whatever proof of identity the registry asks for: none, a password, or a token
//! that is bought with one (`WWW-Authenticate`). Not here: what is sent in which order.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

use super::{Credentials, Reference, RegistryError};

/// Bytes of an answer that are looked at.
const LARGEST_ANSWER: u64 = 1 << 20;
/// Characters of an answer that an error shows.
const SHOWN: usize = 300;

/// The talk.
pub struct Session<'a> {
    agent: Agent,
    reference: &'a Reference,
    credentials: Option<&'a Credentials>,
    base: String,
    /// The `Authorization` that the registry wanted.
    authorization: Option<String>,
}

impl<'a> Session<'a> {
    /// Begins a talk.
    pub fn new(reference: &'a Reference, credentials: Option<&'a Credentials>, plain_http: bool) -> Self {
        let mut config = Agent::config_builder();
        if reference.is_local() {
            // No proxy knows this machine by that name.
            config = config.proxy(None);
        }
        let config = config
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .build();
        let scheme = if plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/{}", reference.host, reference.repository);
        Self { agent: config.into(), reference, credentials, base, authorization: None }
    }

    /// Whether the repository has the blob.
    pub fn has_blob(&mut self, digest: &str) -> Result<bool, RegistryError> {
        let doing = "look for a layer";
        let answer = self.ask(doing, &Method::HEAD, &format!("{}/blobs/{digest}", self.base))?;
        match answer.status().as_u16() {
            200 | 307 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refused(doing, answer)),
        }
    }

    /// Sends a blob of `size` bytes in one piece.
    pub fn send_blob(
        &mut self,
        digest: &str,
        size: u64,
        content: impl Read + Send + 'static,
    ) -> Result<(), RegistryError> {
        let doing = "take a layer";
        let answer = self.ask(doing, &Method::POST, &format!("{}/blobs/uploads/", self.base))?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (202, Some(location)) = (answer.status().as_u16(), location) else {
            return Err(self.refused(doing, answer));
        };
        let joint = if location.contains('?') { '&' } else { '?' };
        let place = format!("{}{joint}digest={digest}", self.absolute(&location));
        let headers = [("content-type", "application/octet-stream".to_owned()), ("content-length", size.to_string())];
        let body = SendBody::from_owned_reader(content);
        let answer = self.send(doing, &Method::PUT, &place, &headers, body)?;
        if answer.status().as_u16() == 201 { Ok(()) } else { Err(self.refused(doing, answer)) }
    }

    /// Sends the manifest, which gives the image its name.
    pub fn send_manifest(&mut self, media_type: &str, manifest: &[u8]) -> Result<(), RegistryError> {
        let doing = "take the manifest";
        let place = format!("{}/manifests/{}", self.base, self.reference.tag);
        let headers = [("content-type", media_type.to_owned())];
        let answer = self.send(doing, &Method::PUT, &place, &headers, manifest)?;
        if answer.status().as_u16() == 201 { Ok(()) } else { Err(self.refused(doing, answer)) }
    }

    /// A request without a body, repeated when the registry wants to know who asks.
    fn ask(&mut self, doing: &'static str, method: &Method, url: &str) -> Result<Response<Body>, RegistryError> {
        let answer = self.send(doing, method, url, &[], ())?;
        if answer.status().as_u16() != 401 || self.authorization.is_some() {
            return Ok(answer);
        }
        let challenge = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        self.authorization = match challenge.map(|challenge| challenge.split_once(' ').unwrap_or((challenge, ""))) {
            Some((scheme, words)) if scheme.eq_ignore_ascii_case("bearer") => Some(self.token(words)?),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => {
                self.credentials.map(|credentials| format!("Basic {}", credentials.0))
            }
            _ => None,
        };
        match self.authorization {
            Some(_) => self.send(doing, method, url, &[], ()),
            None => Ok(answer),
        }
    }

    fn send(
        &self,
        doing: &'static str,
        method: &Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: impl AsSendBody,
    ) -> Result<Response<Body>, RegistryError> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(body).map_err(|error| self.broken(doing, &error))?;
        self.agent.run(request).map_err(|error| self.broken(doing, &error))
    }

    /// Gets a token from the place that a challenge names: `realm="…",service="…",scope="…"`.
    fn token(&self, challenge: &str) -> Result<String, RegistryError> {
        let doing = "get a token";
        let word = |name: &str| {
            let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
            challenge[start..].split('"').next()
        };
        let no_realm = || self.broken(doing, &"the registry does not say where");
        let realm = word("realm").ok_or_else(no_realm)?;
        let scope = format!("repository:{}:pull,push", self.reference.repository);
        let mut request = self.agent.get(realm).query("scope", word("scope").unwrap_or(&scope));
        if let Some(service) = word("service") {
            request = request.query("service", service);
        }
        if let Some(credentials) = self.credentials {
            request = request.header("authorization", format!("Basic {}", credentials.0));
        }
        let mut answer = request.call().map_err(|error| self.broken(doing, &error))?;
        if answer.status().as_u16() != 200 {
            return Err(self.refused(doing, answer));
        }
        let text = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        let text = text.map_err(|error| self.broken(doing, &error))?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = value["token"].as_str().or(value["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| self.broken(doing, &"there is none in the answer"))
    }

    /// A place that the registry names, which may be relative to it.
    fn absolute(&self, location: &str) -> String {
        if location.contains("://") {
            return location.to_owned();
        }
        let root = self.base.split("/v2/").next().unwrap_or_default();
        format!("{root}{location}")
    }

    fn broken(&self, doing: &'static str, error: &dyn std::fmt::Display) -> RegistryError {
        RegistryError::Connection { doing, host: self.reference.host.clone(), reason: error.to_string() }
    }

    fn refused(&self, doing: &'static str, mut answer: Response<Body>) -> RegistryError {
        let (host, status) = (self.reference.host.clone(), answer.status().as_u16());
        if [401, 403].contains(&status) {
            return RegistryError::Denied { doing, host, status };
        }
        let text = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string().unwrap_or_default();
        let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        RegistryError::Refused { doing, host, status, text: shown }
    }
}
