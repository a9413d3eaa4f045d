//! The tree as an image of a container: an OCI image layout in an archive (OCI image specification 1.1).
//!
//! In: the finished tree, a reference. Out: `NAME.oci.tar` with one layer, which is archived, hashed, compressed and hashed again in
//! one go. Not here: Docker's own form (`docker`), registries.

mod config;
mod layer;
mod options;
pub mod read;

use serde_json::json;

use super::FormatError;
use super::archive::Archive;
use super::bundle::Bundle;
pub use config::config;
pub use layer::sha256;
pub(super) use layer::write as layer;
pub use options::{Compression, Options};

/// The kind of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The kind of a list of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The kind of a configuration.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Writes the archive. `file` is what it will be called, `options` what [`Options::parse`] reads.
pub(super) fn write(archive: &Archive<'_>, arch: &str, file: &str, options: &str) -> Result<(), FormatError> {
    let options = Options::parse(options, file.trim_end_matches(".oci.tar"))?;
    let mut bundle = Bundle::create(archive.to, archive.shape.time)?;
    bundle.add_folder("blobs/")?;
    bundle.add_folder("blobs/sha256/")?;
    let layer = bundle.add_long(|out| {
        let layer = layer(archive, options.compression, out)?;
        Ok((blob(&layer.digest), layer.size, layer))
    })?;
    let config = config(arch, &layer.diff_id, archive.shape.time);
    let config_digest = sha256(&config);
    bundle.add(&blob(&config_digest), &config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": format!("sha256:{config_digest}"), "size": config.len()},
        "layers": [{
            "mediaType": options.compression.media_type(),
            "digest": format!("sha256:{}", layer.digest),
            "size": layer.size,
        }],
    });
    let manifest = manifest.to_string().into_bytes();
    let manifest_digest = sha256(&manifest);
    bundle.add(&blob(&manifest_digest), &manifest)?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": format!("sha256:{manifest_digest}"),
            "size": manifest.len(),
            "platform": config::platform(arch),
            "annotations": {"org.opencontainers.image.ref.name": options.tag()},
        }],
    });
    bundle.add("index.json", index.to_string().as_bytes())?;
    bundle.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    bundle.finish()
}

/// The name of a blob in a layout.
pub fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}
