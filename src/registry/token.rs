//! A bearer token, bought from where a challenge says (Docker Registry's token authentication, and its OAuth2 form).
//!
//! In: a challenge, credentials or none. Out: a token for the repository, and how long it is good for. Always asked for is what a push
//! needs: what a challenge names is for one request only.

use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, Uri};

use super::challenge::Challenge;
use super::{Credentials, Reference, RegistryError, answer};

/// What a token is good for when nobody says so.
const USUAL_LIFE: u64 = 60;
const DOING: &str = "give a token";

/// A token.
pub struct Token {
    /// The token itself.
    pub text: String,
    /// When it is about to end.
    pub until: Instant,
}

/// Who buys.
pub struct Buyer<'a> {
    /// What speaks HTTP.
    pub agent: &'a Agent,
    /// What for.
    pub reference: &'a Reference,
    /// Who asks.
    pub credentials: Option<&'a Credentials>,
    /// A password may be sent without encryption.
    pub plain_http: bool,
}

impl Buyer<'_> {
    /// Buys a token.
    ///
    /// # Errors
    /// The challenge does not say where, or nothing is to be had there.
    pub fn buy(&self, challenge: &Challenge) -> Result<Token, RegistryError> {
        let word = |name: &str| challenge.parameters.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let realm = word("realm").ok_or_else(|| self.failed("it does not say where tokens are to be had"))?;
        self.check(realm)?;
        let scope = format!("repository:{}:pull,push", self.reference.repository);
        let service = word("service");
        let sent = match self.credentials.and_then(Credentials::identity) {
            Some(identity) => {
                let form = [("grant_type", "refresh_token"), ("client_id", "kiln"), ("refresh_token", identity)];
                let form = form.into_iter().chain([("scope", scope.as_str())]);
                self.agent.post(realm).send_form(form.chain(service.map(|service| ("service", service))))
            }
            None => {
                let mut request = self.agent.get(realm).query("scope", &scope);
                if let Some(service) = service {
                    request = request.query("service", service);
                }
                if let Some(basic) = self.credentials.and_then(Credentials::basic) {
                    request = request.header("authorization", basic);
                }
                request.call()
            }
        };
        self.read(sent.map_err(|error| answer::broken(DOING, self.reference, &error))?)
    }

    /// Refuses a place where a password would be sent in the clear.
    fn check(&self, realm: &str) -> Result<(), RegistryError> {
        let uri: Uri =
            realm.parse().map_err(|_| self.failed("where it says that tokens are to be had is no address"))?;
        if uri.scheme_str() == Some("https") || self.plain_http || self.credentials.is_none() {
            return Ok(());
        }
        let realm = format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default());
        Err(RegistryError::Exposed { host: self.reference.host.clone(), realm })
    }

    fn read(&self, mut given: Response<ureq::Body>) -> Result<Token, RegistryError> {
        if given.status().as_u16() != 200 {
            return Err(answer::refused(DOING, self.reference, self.credentials, false, given));
        }
        let text = given.body_mut().with_config().limit(answer::LARGEST).read_to_vec();
        let text = text.map_err(|error| answer::broken(DOING, self.reference, &error))?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = value["token"].as_str().or(value["access_token"].as_str()).filter(|token| is_plain(token));
        let token = token.ok_or_else(|| self.failed("there is none in the answer"))?;
        let life = value["expires_in"].as_u64().unwrap_or(USUAL_LIFE).min(24 * 3600);
        // A quarter is left for clocks and for the way.
        Ok(Token { text: token.to_owned(), until: Instant::now() + Duration::from_secs(life) * 3 / 4 })
    }

    fn failed(&self, reason: &str) -> RegistryError {
        RegistryError::Connection { doing: DOING, host: self.reference.host.clone(), reason: reason.to_owned() }
    }
}

/// Whether it can stand in a header.
fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}
