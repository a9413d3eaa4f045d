//! What a format needs of the machine, asked for before the build.
//!
//! In: an output. Out: nothing, or what is missing and how to get it. Not here: paths and room (`output`).

use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::own::Own;
use super::{Format, FormatError, Source, oci, qemu_img};
use crate::plan::Output;
use crate::sandbox::command::PATH;

/// Refuses an output that this machine cannot write.
pub fn check(output: &Output) -> Result<(), FormatError> {
    let format = super::find(&output.format)?;
    if !format.programs.is_empty() && !format.programs.iter().any(|program| find_program(program).is_some()) {
        return Err(missing(&format, format.programs[0], format.package));
    }
    let options = output.options.as_str();
    match format.name {
        "docker" | "oci" => oci::Options::parse(options, "image").map(drop),
        "aci" if !options.is_empty() => {
            let path = Utf8Path::new(options);
            let text = std::fs::read(path).map_err(FormatError::io("read what ACI_MANIFEST names,", path))?;
            let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&text);
            parsed.map(drop).map_err(|error| FormatError::Manifest { path: path.to_owned(), reason: error.to_string() })
        }
        "tgz" => match options.split_whitespace().next() {
            Some(program) if find_program(program).is_none() => {
                Err(FormatError::NoCompressor { program: program.to_owned() })
            }
            _ => Ok(()),
        },
        // Written in process, unless there are options that only qemu-img knows.
        name if format.source == Source::Raw && Own::of(output).is_none() => match find_program("qemu-img") {
            Some(_) => qemu_img::check(name, options),
            None => Err(missing(&format, "qemu-img", "qemu-utils")),
        },
        _ => Ok(()),
    }
}

/// The file of the program `name`, a path or a name in the `PATH` that commands get.
pub fn find_program(name: &str) -> Option<Utf8PathBuf> {
    let runs = |file: &Utf8PathBuf| {
        std::fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(Utf8PathBuf::from(name)).filter(runs);
    }
    PATH.split(':').map(|folder| Utf8Path::new(folder).join(name)).find(runs)
}

fn missing(format: &Format, program: &'static str, package: &'static str) -> FormatError {
    FormatError::NoProgram { format: format.name, program, package }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(format: &str, options: &str) -> Output {
        let (format, path) = (format.to_owned(), "/tmp/image".into());
        Output {
            format,
            path,
            disk: String::new(),
            qcow2_compression: Default::default(),
            options: options.into(),
            variables: Default::default(),
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_what_to_do() {
        let error = |format, options| check(&output(format, options)).unwrap_err().to_string();
        assert!(error("tgz", "no-such-pigz -p 3").contains("`no-such-pigz`, which DIB_GZIP_BIN names"));
        assert!(error("aci", "/no/manifest").contains("cannot read what ACI_MANIFEST names, /no/manifest"));
        assert!(error("aci", "/etc/passwd").contains("is not JSON"));
        check(&output("aci", "")).unwrap();
        check(&output("tgz", "gzip")).unwrap();
        let format = Format { programs: &["kiln-no-such-program"], package: "nothing", ..super::super::FORMATS[0] };
        let text = missing(&format, format.programs[0], format.package).to_string();
        assert!(text.contains("apt-get install nothing"), "{text}");
    }
}
