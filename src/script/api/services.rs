//! Services, for whichever init system the image has. Needs `services`.

use camino::Utf8Path;
use rhai::Map;
use rhai::plugin::*;

use super::super::effect;
use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::service::Service;
use super::unit::Name;
use super::{openrc, options, systemd};
use crate::target::Attributes;

/// Who starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    Systemd,
    OpenRc,
}

/// The image's init system: what is in it, else what its distribution uses.
fn init(image: &Image) -> Result<Init, HostError> {
    let target = image.target();
    let marks = [
        ("/usr/lib/systemd/systemd", Init::Systemd),
        ("/lib/systemd/systemd", Init::Systemd),
        ("/sbin/openrc-run", Init::OpenRc),
        ("/etc/runlevels", Init::OpenRc),
    ];
    for (path, init) in marks {
        if target.stat(&target.resolve(Utf8Path::new(path), true)?)?.is_some() {
            return Ok(init);
        }
    }
    let distribution = image.world().facts.distribution.clone();
    Ok(if distribution == "alpine" { Init::OpenRc } else { Init::Systemd })
}

fn begin(ctx: &NativeCallContext<'_>, image: &Image, name: &str) -> Result<(Name, Init), HostError> {
    let unit = Name::parse(name).ok_or_else(|| HostError::usage("unit", format!("`{name}` is no unit's name")))?;
    image.need(ctx, &Permission::Services)?;
    Ok((unit, init(image)?))
}

fn put(image: &Image, folder: &str, name: &str, text: &str, mode: u32) -> Result<(), HostError> {
    let attributes = Attributes { mode: Some(mode), ..Attributes::default() };
    Ok(image.target().write(&Utf8Path::new(folder).join(name), text.as_bytes(), attributes)?)
}

/// Services.
#[export_module]
pub mod verbs {
    /// Starts a unit at boot: `ssh` or `ssh.service` or `serial-getty@ttyS0.service`.
    #[rhai_fn(return_raw)]
    pub fn enable_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let (unit, init) = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        match init {
            Init::Systemd => Ok(systemd::enable(image, &unit, &mut Vec::new())?),
            Init::OpenRc => Ok(openrc::enable(image, &unit)?),
        }
    }

    /// Does not start a unit at boot; one that the image does not have is no error.
    #[rhai_fn(return_raw)]
    pub fn disable_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let (unit, init) = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        match init {
            Init::Systemd => Ok(systemd::disable(image.target(), &unit)?),
            Init::OpenRc => Ok(openrc::disable(image.target(), &unit)?),
        }
    }

    /// Keeps a unit from being started by anything.
    #[rhai_fn(return_raw)]
    pub fn mask_service(ctx: NativeCallContext<'_>, image: &mut Image, name: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let (unit, init) = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into()])?;
        match init {
            Init::Systemd => Ok(systemd::mask(image.target(), &unit)?),
            Init::OpenRc => Ok(openrc::mask(image.target(), &unit)?),
        }
    }

    /// Writes a systemd unit of the image's own: `image.write_unit("job.timer", "[Timer]…")`. Enabling it is another call.
    #[rhai_fn(return_raw)]
    pub fn write_unit(ctx: NativeCallContext<'_>, image: &mut Image, name: &str, text: &str) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let (unit, init) = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into(), effect::text(text)])?;
        if init == Init::OpenRc {
            let error = HostError::new(
                "services.unsupported",
                format!("the image starts services with OpenRC, which reads no unit `{unit}`"),
            );
            return Err(error
                .help("describe the service instead: `write_unit(name, #{ command: [\"/usr/bin/web\"] })`")
                .into());
        }
        Ok(put(image, systemd::ETC, &unit.to_string(), text, 0o644)?)
    }

    /// Writes a service of the image's own, as its init system wants it. Takes `#{command, summary, user, group, environment,
    /// directory, restart, after, once}`; only `command` is needed. Enabling it is another call.
    #[rhai_fn(name = "write_unit", return_raw)]
    pub fn write_unit_described(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        name: &str,
        service: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        let service: Service = options::read(ctx.fn_name(), service)?;
        service.check()?;
        let (unit, init) = begin(&ctx, image, name)?;
        image.record(&ctx, vec![name.into(), service.command.clone().into()])?;
        match init {
            Init::Systemd => Ok(put(image, systemd::ETC, &unit.to_string(), &service.systemd(), 0o644)?),
            Init::OpenRc => {
                let name = openrc::name(&unit)?;
                Ok(put(image, openrc::SCRIPTS, &name, &service.openrc(&name), 0o755)?)
            }
        }
    }
}
