//! What an image of a container is told beside the tree.
//!
//! In: `compression=zstd,reference=example/image:1.0`, both optional. Out: [`Options`].

use crate::format::FormatError;
use crate::format::docker::check_target;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// What everybody reads.
    Gzip,
    /// Smaller and faster: Podman 1.8, Docker 23, containerd 1.5 and later.
    #[default]
    Zstd,
}

impl Compression {
    /// The kind of such a layer.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// What an image is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How its layer is compressed.
    pub compression: Compression,
    /// Repository and perhaps tag; said by the user, or the image's own name.
    pub reference: String,
    /// The user said so.
    pub named: bool,
}

impl Options {
    /// Reads options; an image without a reference is called `name`.
    ///
    /// # Errors
    /// A reference that no client takes, a compression that there is not.
    pub fn parse(text: &str, name: &str) -> Result<Self, FormatError> {
        let mut options = Self { compression: Compression::default(), reference: plain(name), named: false };
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("compression", "zstd")) => options.compression = Compression::Zstd,
                Some(("compression", "gzip")) => options.compression = Compression::Gzip,
                Some(("compression", "none")) => options.compression = Compression::None,
                Some(("reference", reference)) => {
                    check_target(reference)?;
                    options.reference = reference.to_owned();
                    options.named = true;
                }
                _ => return Err(FormatError::ContainerOption { option: option.to_owned() }),
            }
        }
        Ok(options)
    }

    /// The tag: `latest` unless it is named.
    pub fn tag(&self) -> &str {
        match self.reference.rsplit_once(':') {
            Some((_, tag)) if !tag.contains('/') => tag,
            _ => "latest",
        }
    }

    /// Repository and tag.
    pub fn tagged(&self) -> String {
        let repository = self.reference.strip_suffix(&format!(":{}", self.tag())).unwrap_or(&self.reference);
        format!("{repository}:{}", self.tag())
    }
}

/// `name` as a repository may be called.
fn plain(name: &str) -> String {
    let lower = name.to_lowercase();
    let plain: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let plain = plain.trim_matches(['.', '_', '-']);
    if plain.is_empty() { "image".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_a_tag_and_names_are_made_fit() {
        let options = Options::parse("compression=gzip,reference=host.example:5000/a/b", "x").unwrap();
        assert_eq!((options.compression, options.tag()), (Compression::Gzip, "latest"));
        assert_eq!(options.tagged(), "host.example:5000/a/b:latest");
        assert_eq!(Options::parse("reference=a:1", "x").unwrap().tagged(), "a:1");
        assert_eq!(Options::parse("", "My Image").unwrap().tagged(), "my-image:latest");
        assert!(Options::parse("reference=A B", "x").is_err());
        assert!(Options::parse("level=3", "x").unwrap_err().to_string().contains("`level=3`"));
    }
}
