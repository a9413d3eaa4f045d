//! Talk with one registry about one repository.
//!
//! In: requests. Out: answers, with whatever proof of identity the registry asks for: none, a password, or a token that is bought with
//! one. A refusal to listen (401) is answered once with that proof. Not here: what is sent in which order.

use std::time::{Duration, Instant};

use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body, SendBody};

use super::challenge::Challenge;
use super::token::Buyer;
use super::{Credentials, Reference, RegistryError, answer};

/// The talk.
pub struct Session<'a> {
    agent: Agent,
    reference: &'a Reference,
    credentials: Option<&'a Credentials>,
    plain_http: bool,
    /// Scheme and host.
    root: String,
    /// How the registry wants to know who asks.
    challenge: Option<Challenge>,
    /// The header that says so, and when it is no longer good.
    authorization: Option<(String, Option<Instant>)>,
}

/// A request. What it sends can be made again, for when it was not listened to.
pub struct Asked<'a> {
    /// What for, as in `HOST does not …`.
    pub doing: &'static str,
    /// The method.
    pub method: Method,
    /// Where to, as [`Session::place`] or the registry said.
    pub url: &'a str,
    /// Headers beside those of identity.
    pub headers: &'a [(&'static str, String)],
    /// Makes what is sent.
    pub body: &'a dyn Fn() -> Result<SendBody<'static>, RegistryError>,
}

/// Nothing is sent.
pub fn nothing() -> Result<SendBody<'static>, RegistryError> {
    Ok(SendBody::none())
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
        let root = format!("{scheme}://{}", reference.endpoint());
        Self { agent: config.into(), reference, credentials, plain_http, root, challenge: None, authorization: None }
    }

    /// The registry.
    pub fn host(&self) -> String {
        self.reference.host.clone()
    }

    /// The address of something in the repository.
    pub fn place(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.root, self.reference.repository)
    }

    /// An address that the registry named, which may be relative to it.
    pub fn absolute(&self, location: &str) -> String {
        if location.contains("://") { location.to_owned() } else { format!("{}{location}", self.root) }
    }

    /// Sends a request, twice when the registry wants to know who asks.
    ///
    /// # Errors
    /// There is no answer, or no token to be had. An answer that says no is no error.
    pub fn ask(&mut self, asked: &Asked<'_>) -> Result<Response<Body>, RegistryError> {
        if self.authorization.as_ref().and_then(|(_, until)| *until).is_some_and(|until| until <= Instant::now()) {
            self.identify()?;
        }
        let answer = self.send(asked)?;
        if answer.status().as_u16() != 401 {
            return Ok(answer);
        }
        let headers = answer.headers().get_all("www-authenticate").into_iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<_> = headers.flat_map(Challenge::parse).collect();
        let wanted =
            ["bearer", "basic"].iter().find_map(|scheme| challenges.iter().find(|known| known.scheme == *scheme));
        let Some(wanted) = wanted.cloned() else { return Ok(answer) };
        // A password that was not believed is not believed the second time.
        let in_vain = wanted.scheme == "basic" && self.authorization.is_some();
        self.challenge = Some(wanted);
        if in_vain || !self.identify()? { Ok(answer) } else { self.send(asked) }
    }

    /// The error that an answer stands for.
    pub fn refused(&self, doing: &'static str, answer: Response<Body>) -> RegistryError {
        // Who has a token is known; a password is not believed before it was.
        let known = self.challenge.as_ref().is_some_and(|challenge| challenge.scheme == "bearer");
        answer::refused(doing, self.reference, self.credentials, known, answer)
    }

    /// Makes the header that the last challenge asks for; whether there is one.
    fn identify(&mut self) -> Result<bool, RegistryError> {
        let Some(challenge) = &self.challenge else { return Ok(false) };
        self.authorization = if challenge.scheme == "bearer" {
            let (agent, reference, credentials) = (&self.agent, self.reference, self.credentials);
            let token = Buyer { agent, reference, credentials, plain_http: self.plain_http }.buy(challenge)?;
            Some((format!("Bearer {}", token.text), Some(token.until)))
        } else {
            self.credentials.and_then(Credentials::basic).map(|basic| (basic, None))
        };
        Ok(self.authorization.is_some())
    }

    fn send(&self, asked: &Asked<'_>) -> Result<Response<Body>, RegistryError> {
        let mut request = Request::builder().method(&asked.method).uri(asked.url);
        for (name, value) in asked.headers {
            request = request.header(*name, value);
        }
        // What the registry keeps elsewhere is reached by an address that holds its own key.
        let is_home = asked.url.strip_prefix(&self.root).is_some_and(|path| path.starts_with('/'));
        if let Some((authorization, _)) = self.authorization.as_ref().filter(|_| is_home) {
            request = request.header("authorization", authorization);
        }
        let broken = |error: ureq::Error| answer::broken(asked.doing, self.reference, &error);
        let request = request.body((asked.body)()?).map_err(|error| broken(error.into()))?;
        self.agent.run(request).map_err(broken)
    }
}
