//! The name of an image in a registry.

use std::net::Ipv4Addr;

use super::RegistryError;

/// A registry, a repository in it and a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and perhaps port.
    pub host: String,
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

impl Reference {
    /// Reads `[docker://]HOST[:PORT]/REPOSITORY[:TAG]`; the tag is `latest` unless it is named.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let wrong = || RegistryError::Reference { text: text.to_owned() };
        let plain = text.strip_prefix("docker://").unwrap_or(text);
        let (host, rest) = plain.split_once('/').ok_or_else(wrong)?;
        let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        let all = |text: &str, more: &str| {
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
            !text.is_empty() && text.chars().all(good)
        };
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let good = is_host
            && all(&host.to_lowercase(), ".-:[]")
            && repository.split('/').all(|part| all(part, "._-"))
            && all(&tag.to_lowercase(), "._-")
            && tag.len() <= 128;
        if !good {
            return Err(wrong());
        }
        let reference = Self { host: host.to_owned(), repository: repository.to_owned(), tag: tag.to_owned() };
        let official = reference.is_docker_hub() && !repository.contains('/');
        Ok(Self {
            repository: if official { format!("library/{repository}") } else { repository.to_owned() },
            ..reference
        })
    }

    /// Whether it is Docker's own registry, which has another host than name.
    pub fn is_docker_hub(&self) -> bool {
        self.host == "docker.io" || self.host == "index.docker.io"
    }

    /// The host that answers.
    pub fn endpoint(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.host }
    }

    /// Whether the registry is on this machine, where nobody listens in.
    pub fn is_local(&self) -> bool {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        name == "localhost" || name == "[::1]" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_host_a_repository_and_a_tag() {
        let reference = Reference::parse("docker://registry.example:5000/team/web:1.0").unwrap();
        assert_eq!(
            (reference.host.as_str(), reference.repository.as_str(), reference.tag.as_str()),
            ("registry.example:5000", "team/web", "1.0")
        );
        assert_eq!(Reference::parse("localhost/a").unwrap().tag, "latest");
        let hub = Reference::parse("docker.io/web").unwrap();
        assert_eq!((hub.endpoint(), hub.repository.as_str()), ("registry-1.docker.io", "library/web"));
        assert!(Reference::parse("127.0.0.1:5000/a").unwrap().is_local());
        assert!(!Reference::parse("127.example.org/a").unwrap().is_local());
        for bad in ["", "web", "web:1", "team/web", "host.example/", "host.example/A", "host.example/a:", "h.e/a?b"] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }
}
