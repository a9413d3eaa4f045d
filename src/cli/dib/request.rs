//! What DIB's words ask for.
//!
//! In: options and the environment. Out: the same [`Request`] that `kiln build` makes of its own words. Not here: carrying it
//! out (`create`).

use camino::{Utf8Path, Utf8PathBuf};

use super::environment;
use super::options::Options;
use crate::cli::variables::{Environment, value};
use crate::cli::{duration, meaning, size};
use crate::format;
use crate::request::{Kind, Qcow2Compression, Request};

/// What `options` ask for of a process that was given `arguments` and `environment` in the folder `here`.
///
/// # Errors
/// Words that make no sense; complete text.
pub fn request(
    options: &Options,
    kind: Kind,
    arguments: &[String],
    mut environment: Environment,
    here: &Utf8Path,
) -> Result<Request, String> {
    if options.elements.is_empty() {
        return Err(
            "ERROR: At least one distribution root element must be specified, such as debian-minimal".to_owned()
        );
    }
    environment::apply(options, &mut environment)?;
    let arch = meaning::arch(options.arch.as_deref(), &environment)?;
    let mut variables = meaning::variables(&environment, &arch);
    if let Some(name) = &options.install_type {
        variables.insert("DIB_DEFAULT_INSTALLTYPE".to_owned(), name.clone());
    }
    if kind == Kind::Ramdisk {
        let named = options.ramdisk_element.as_ref().or_else(|| value(&environment, "RAMDISK_ELEMENT"));
        variables.extend(named.map(|name| ("RAMDISK_ELEMENT".to_owned(), name.clone())));
    }
    let types: Vec<String> = options.types.as_deref().unwrap_or("qcow2").split([',', ' ']).map(str::to_owned).collect();
    let formats = meaning::formats(&types)?;
    let docker_target = options.docker_target.clone().filter(|target| !target.is_empty());
    if formats.iter().any(|name| name == "docker") && docker_target.is_none() {
        return Err("Please set --docker-target: a repository and a tag, such as web:latest".to_owned());
    }
    let named = options.output.as_deref().or_else(|| value(&environment, "IMAGE_NAME").map(String::as_str));
    let name = meaning::output(Utf8Path::new(named.unwrap_or("image")), &formats)?;
    let image_size = match &options.image_size {
        Some(text) => Some(size::parse(text).map_err(|error| format!("option '--image-size': {error}"))?),
        None => size::variable(&environment)?,
    };
    environment::complete(options, kind, &name, image_size, &mut environment);
    Ok(Request {
        kind,
        elements: options.elements.clone(),
        search_path: meaning::search_path(&[], &environment)?,
        output: here.join(&name),
        formats,
        arch,
        packages: options.packages.clone(),
        options: Default::default(),
        image_size,
        root_label: options.root_label.clone().or_else(|| value(&environment, "ROOT_LABEL").cloned()),
        checksums: meaning::checksums(environment.get("DIB_CHECKSUM").map_or("0", String::as_str)),
        qcow2_compression: if options.uncompressed { Qcow2Compression::None } else { Qcow2Compression::default() },
        skip_base: options.skip_base || value(&environment, "SKIP_BASE").is_some_and(|text| text == "1"),
        // The environment's MKFS_OPTS does not count, as in DIB.
        mkfs_options: options.mkfs_options.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect(),
        qemu_img_options: options.qemu_img_options.clone().or_else(|| value(&environment, "QEMU_IMG_OPTIONS").cloned()),
        docker_target,
        oci_compression: None,
        keep_old_outputs: keeps_old_outputs(&environment)?,
        disk_writer: options.disk_writer,
        confine: options.confine,
        dib_strict: options.dib_strict,
        policy: crate::request::Policy::default(),
        directory: here.to_owned(),
        arguments: Some(arguments.join(" ")),
        breakpoints: meaning::breakpoints(&environment)?,
        environment,
        max_age: options.max_age.unwrap_or(duration::MAX_AGE),
        seed: None,
        source_date_epoch: meaning::source_date_epoch(&variables)?,
        variables,
    })
}

/// Whether an output that exists is renamed first.
fn keeps_old_outputs(environment: &Environment) -> Result<bool, String> {
    let Some(text) = value(environment, "OVERWRITE_OLD_IMAGE") else { return Ok(true) };
    let number: i64 = text
        .trim()
        .parse()
        .map_err(|_| format!("OVERWRITE_OLD_IMAGE is `{text}`, which is no whole number; 1 replaces old images"))?;
    Ok(number == 0)
}

/// The folder a log file lies in.
pub fn log_path(options: &Options, here: &Utf8Path) -> Option<Utf8PathBuf> {
    options.logfile.as_ref().filter(|file| !file.as_str().is_empty()).map(|file| here.join(file))
}

/// The formats' names for help texts.
pub fn format_names() -> String {
    format::NAMES.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dib::options::{Wish, read};
    use crate::request::{Breakpoints, DiskWriter};

    fn try_asked(kind: Kind, words: &str, pairs: &[(&str, &str)]) -> Result<Request, String> {
        let words: Vec<String> = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let Ok(Wish::Image(options)) = read(&words, false) else { panic!("{words:?}") };
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        request(&options, kind, &words, environment, Utf8Path::new("/here"))
    }

    fn asked(words: &str, pairs: &[(&str, &str)]) -> Request {
        try_asked(Kind::Disk, words, pairs).unwrap()
    }

    fn refused(words: &str, pairs: &[(&str, &str)]) -> String {
        try_asked(Kind::Disk, words, pairs).unwrap_err()
    }

    #[test]
    fn the_defaults_are_dibs() {
        let request = asked("vm debian-minimal", &[("HOME", "/h")]);
        assert_eq!(request.output, "/here/image");
        assert_eq!(request.formats, ["qcow2"]);
        assert_eq!(request.arch, meaning::host_arch());
        assert_eq!(request.arguments.as_deref(), Some("vm debian-minimal"));
        assert_eq!(request.max_age, duration::MAX_AGE);
        assert!(request.keep_old_outputs && !request.skip_base && !request.dib_strict);
        assert_eq!((request.image_size, request.root_label, request.seed), (None, None, None));
        assert_eq!(request.breakpoints, Breakpoints::default());
        // How a build is run is no part of what is in the image.
        assert!(request.variables.is_empty(), "{:?}", request.variables);
    }

    /// One line for each option of DIB's table.
    #[test]
    fn every_option_reaches_the_request() {
        let arch = asked("-a aarch64 e", &[]);
        assert_eq!((arch.arch.as_str(), arch.environment["ARCH"].as_str()), ("arm64", "aarch64"));
        assert_eq!(asked("-o sub/x e", &[]).output, "/here/sub/x");
        assert_eq!(asked("-o /out/x e", &[]).output, "/out/x");
        assert_eq!(asked("-t raw,qcow2,raw e", &[]).formats, ["raw", "qcow2"]);
        assert_eq!(asked("-x -x e", &[]).environment["DIB_DEBUG_TRACE"], "2");
        assert_eq!(asked("-u e", &[]).qcow2_compression, Qcow2Compression::None);
        assert!(asked("-n e", &[]).skip_base);
        assert_eq!(asked("-p a,b -p c e", &[]).packages, ["a", "b", "c"]);
        assert_eq!(asked("--checksum e", &[]).checksums, ["md5", "sha256"]);
        assert_eq!(asked("--image-size 0.5 e", &[]).image_size, Some(536_870_912));
        assert_eq!(asked("--image-extra-size 100 e", &[]).variables["DIB_IMAGE_EXTRA_SIZE"], "100");
        assert_eq!(asked("--mkfs-journal-size 32 e", &[]).variables["DIB_JOURNAL_SIZE"], "32");
        assert_eq!(asked("--image-cache /c e", &[]).environment["DIB_IMAGE_CACHE"], "/c");
        assert_eq!(asked("--max-online-resize 99 e", &[]).variables["MAX_ONLINE_RESIZE"], "99");
        assert_eq!(asked("--mkfs-options=-N e", &[]).mkfs_options, ["-N"]);
        assert_eq!(asked("--min-tmpfs 5 e", &[]).environment["DIB_MIN_TMPFS"], "5");
        assert_eq!(asked("--no-tmpfs e", &[]).environment["DIB_NO_TMPFS"], "1");
        assert_eq!(asked("--offline e", &[]).environment["DIB_OFFLINE"], "1");
        assert_eq!(asked("--qemu-img-options compat=0.10 e", &[]).qemu_img_options.as_deref(), Some("compat=0.10"));
        assert_eq!(asked("--root-label r e", &[]).root_label.as_deref(), Some("r"));
        assert_eq!(asked("--install-type package e", &[]).variables["DIB_DEFAULT_INSTALLTYPE"], "package");
        assert_eq!(asked("--docker-target a:b e", &[]).docker_target.as_deref(), Some("a:b"));
        assert!(asked("--dib-strict e", &[]).dib_strict);
        assert!(asked("--confine e", &[]).confine && !asked("e", &[]).confine);
        assert_eq!(asked("--disk-writer loop e", &[]).disk_writer, DiskWriter::Loop);
        assert_eq!(asked("--max-age 1h e", &[]).max_age, 3600);
    }

    /// One line for each variable that DIB's main program reads.
    #[test]
    fn every_variable_reaches_the_request() {
        assert_eq!(asked("e", &[("ARCH", "x86_64")]).arch, "amd64");
        assert_eq!(asked("e", &[("IMAGE_NAME", "n.qcow2")]).output, "/here/n");
        assert_eq!(asked("e", &[("DIB_IMAGE_SIZE", "2")]).image_size, Some(2 << 30));
        assert_eq!(asked("--image-size 3 e", &[("DIB_IMAGE_SIZE", "2")]).image_size, Some(3 << 30));
        assert_eq!(asked("e", &[("ROOT_LABEL", "r")]).root_label.as_deref(), Some("r"));
        assert_eq!(asked("e", &[("DIB_CHECKSUM", "sha256")]).checksums, ["sha256"]);
        assert_eq!(asked("e", &[("DIB_CHECKSUM", "md5,sha256")]).checksums, ["md5", "sha256"]);
        assert!(!asked("e", &[("OVERWRITE_OLD_IMAGE", "1")]).keep_old_outputs);
        assert!(asked("e", &[("OVERWRITE_OLD_IMAGE", "0")]).keep_old_outputs);
        assert!(refused("e", &[("OVERWRITE_OLD_IMAGE", "yes")]).contains("OVERWRITE_OLD_IMAGE"));
        assert_eq!(asked("e", &[("QEMU_IMG_OPTIONS", "a=b")]).qemu_img_options.as_deref(), Some("a=b"));
        assert!(asked("e", &[("MKFS_OPTS", "-N 7")]).mkfs_options.is_empty());
        assert!(asked("e", &[("SKIP_BASE", "1")]).skip_base && !asked("e", &[("SKIP_BASE", "0")]).skip_base);
        assert_eq!(asked("e", &[("ELEMENTS_PATH", "/a:/b")]).search_path, ["/a", "/b"]);
        assert_eq!(asked("e", &[("break", "after-error")]).breakpoints.points, ["after-error"]);
        assert_eq!(asked("e", &[("ANYTHING", "x")]).environment["ANYTHING"], "x");
        // It selects no formats and never did.
        assert_eq!(asked("e", &[("IMAGE_TYPE", "raw")]).formats, ["qcow2"]);
    }

    #[derive(clap::Parser)]
    struct KilnWords {
        #[command(flatten)]
        image: crate::cli::words::ImageArgs,
    }

    #[test]
    fn both_dialects_ask_for_the_same() {
        let text = "-o x -t raw,qcow2 -a amd64 -p a,b -p c -u -n --checksum --image-size 2 --root-label r --disk-writer loop \
                    --dib-strict --confine --max-age 1h --offline vm debian";
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let kiln = <KilnWords as clap::Parser>::try_parse_from([&["kiln".to_owned()], words.as_slice()].concat());
        let kiln = kiln.unwrap_or_else(|error| panic!("{error}")).image.request().unwrap();
        let Ok(Wish::Image(options)) = read(&words, false) else { panic!("{words:?}") };
        let here = meaning::current_folder().unwrap();
        let mut dib = request(&options, Kind::Disk, &words, crate::cli::variables::environment(), &here).unwrap();
        // What only DIB does.
        (dib.arguments, dib.keep_old_outputs) = (None, false);
        assert_eq!(serde_json::to_value(dib).unwrap(), serde_json::to_value(kiln).unwrap());
    }

    #[test]
    fn a_suffix_is_stripped_for_exactly_one_type() {
        assert_eq!(asked("-o i.qcow2 -t qcow2 e", &[]).output, "/here/i");
        assert_eq!(asked("-o i.qcow2 -t raw,qcow2 e", &[]).output, "/here/i.qcow2");
        assert_eq!(asked("-o i.qcow2 -t raw,qcow2 e", &[]).environment["IMAGE_NAME"], "i.qcow2");
        assert_eq!(asked("-o i.raw -t raw e", &[]).environment["IMAGE_NAME"], "i");
    }

    #[test]
    fn a_ram_disk_has_its_element() {
        let ramdisk = |words: &str, pairs: &[(&str, &str)]| try_asked(Kind::Ramdisk, words, pairs).unwrap();
        let request = ramdisk("-o r e", &[("RAMDISK_ELEMENT", "mine")]);
        assert_eq!(request.variables["RAMDISK_ELEMENT"], "mine");
        let named = ramdisk("--ramdisk-element dracut-ramdisk e", &[("RAMDISK_ELEMENT", "mine")]);
        assert_eq!(named.variables["RAMDISK_ELEMENT"], "dracut-ramdisk");
        assert_eq!(named.environment["RAMDISK_ELEMENT"], "dracut-ramdisk");
        assert_eq!(
            (named.environment["DIB_NO_TMPFS"].as_str(), named.environment["DIB_MIN_TMPFS"].as_str()),
            ("1", "1")
        );
        assert!(!asked("e", &[("RAMDISK_ELEMENT", "mine")]).variables.contains_key("RAMDISK_ELEMENT"));
    }

    #[test]
    fn a_docker_image_needs_a_name() {
        assert!(refused("-t docker e", &[]).starts_with("Please set --docker-target"));
        assert_eq!(asked("-t docker --docker-target a:b e", &[]).docker_target.as_deref(), Some("a:b"));
    }

    #[test]
    fn wrong_words_are_refused() {
        assert!(refused("", &[]).starts_with("ERROR: At least one distribution root element must be specified"));
        assert!(refused("-t qcow3 e", &[]).contains("`qcow2`"));
        assert!(refused("-t , e", &[]).contains("no format is named"));
        assert!(refused("-a vax e", &[]).contains("`vax`"));
        assert!(refused("-o out/ e", &[]).contains("names no file"));
        assert!(refused("e", &[("DIB_IMAGE_SIZE", "much")]).contains("DIB_IMAGE_SIZE"));
        assert!(refused("e", &[("break", "nowhere")]).contains("nowhere"));
    }
}
