//! `kiln push`: a container's image to a registry.

use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::variables::{self, value};
use crate::registry::{self, Credentials, Reference, RegistryError};
use crate::ui::text;

/// Words of `kiln push`.
#[derive(Args, Debug)]
pub struct PushArgs {
    /// The image: NAME.oci.tar, as `kiln build -t oci` makes it
    image: Utf8PathBuf,
    /// Where to
    #[arg(value_name = "HOST[:PORT]/REPOSITORY[:TAG]")]
    reference: String,
    /// The file with credentials [default: REGISTRY_AUTH_FILE, else what podman login or docker login left]
    #[arg(long, value_name = "FILE")]
    authfile: Option<Utf8PathBuf>,
    /// Talk HTTP without encryption (as always with this machine's own registry)
    #[arg(long)]
    plain_http: bool,
}

/// Sends the image.
pub fn run(args: &PushArgs) -> ExitCode {
    match push(args) {
        Ok((reference, sent)) => {
            let known = if sent.known > 0 { format!(", {} layers were there", sent.known) } else { String::new() };
            super::print(&format!("{reference}: {} sent{known}\n", text::bytes(sent.bytes)));
            ExitCode::SUCCESS
        }
        Err(error) => super::refuse(&error),
    }
}

fn push(args: &PushArgs) -> Result<(String, registry::Sent), RegistryError> {
    let reference = Reference::parse(&args.reference)?;
    let credentials = credentials(args.authfile.as_deref(), &reference)?;
    let plain = args.plain_http || reference.is_local();
    let sent = registry::push(&args.image, &reference, credentials.as_ref(), plain)?;
    Ok((format!("{}/{}:{}", reference.host, reference.repository, reference.tag), sent))
}

/// Those that were named, or the first of the usual files that has some (containers-auth.json(5)).
fn credentials(named: Option<&Utf8Path>, reference: &Reference) -> Result<Option<Credentials>, RegistryError> {
    let environment = variables::environment();
    let folder = |name: &str| value(&environment, name).map(Utf8PathBuf::from);
    if let Some(file) = named.map(Utf8Path::to_owned).or_else(|| folder("REGISTRY_AUTH_FILE")) {
        return Credentials::read(&file, reference, &environment);
    }
    let home = folder("HOME");
    let below_home = |path: &str| home.as_ref().map(|folder| folder.join(path));
    let runtime = folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let user = nix::unistd::getuid();
    let usual = [
        runtime.or_else(|| Some(format!("/run/containers/{user}/auth.json").into())),
        folder("XDG_CONFIG_HOME").or_else(|| below_home(".config")).map(|folder| folder.join("containers/auth.json")),
        folder("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|folder| folder.join("config.json")),
    ];
    for file in usual.into_iter().flatten().filter(|file| file.is_file()) {
        if let Some(found) = Credentials::read(&file, reference, &environment)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
