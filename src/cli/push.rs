//! `kiln push`: a container's image to a registry.

use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::variables::{self, value};
use crate::registry::{self, Access, Credentials, Reference, RegistryError, Trust};
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
    /// A folder with certificates (*.crt) of the registry's authorities [default: certs.d/HOST as podman and docker have it]
    #[arg(long, value_name = "FOLDER")]
    cert_dir: Option<Utf8PathBuf>,
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
    let trust = Trust::read(&certificates(args.cert_dir.as_deref(), &reference.host))?;
    let plain_http = args.plain_http || reference.is_local();
    let access = Access { credentials: credentials.as_ref(), plain_http, trust: &trust };
    let sent = registry::push(&args.image, &reference, &access)?;
    Ok((format!("{}/{}:{}", reference.host, reference.repository, reference.tag), sent))
}

/// Folders with certificates for `host` (containers-certs.d(5)).
fn certificates(named: Option<&Utf8Path>, host: &str) -> Vec<Utf8PathBuf> {
    let environment = variables::environment();
    let home =
        value(&environment, "HOME").map(|home| Utf8Path::new(home).join(".config/containers/certs.d").join(host));
    let usual = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(|folder| Utf8Path::new(folder).join(host));
    named.map_or_else(|| home.into_iter().chain(usual).collect(), |named| vec![named.to_owned()])
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
