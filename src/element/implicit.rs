//! Elements that come without being named.
//!
//! In: a request. Out: the names of what is wanted, in DIB's order: the element that makes a RAM disk, `base`, those that were
//! named, a block device. The only place that knows this rule; `element-info` does not ask it. Not here: what they need.

use crate::request::{Kind, Request};

/// What makes a RAM disk unless `RAMDISK_ELEMENT` says otherwise.
const RAMDISK: &str = "ramdisk";

/// What the user named and what comes without being named.
pub fn wanted(request: &Request) -> Vec<String> {
    let mut wanted = Vec::new();
    if request.kind == Kind::Ramdisk {
        let named = request.variables.get("RAMDISK_ELEMENT").filter(|name| !name.is_empty());
        wanted.push(named.map_or(RAMDISK, String::as_str).to_owned());
    }
    if !request.skip_base {
        wanted.push("base".to_owned());
    }
    wanted.extend(request.elements.iter().cloned());
    let named = |test: fn(&str) -> bool| request.elements.iter().any(|name| test(name));
    if named(|name| name == "vm") && !named(|name| name.starts_with("block-device")) {
        let arm = matches!(request.arch.as_str(), "arm64" | "aarch64");
        wanted.push(if arm { "block-device-efi" } else { "block-device-mbr" }.to_owned());
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(elements: &str) -> Request {
        Request {
            elements: elements.split(' ').map(str::to_owned).collect(),
            arch: "amd64".into(),
            ..Request::default()
        }
    }

    #[test]
    fn base_comes_first_and_a_block_device_last() {
        assert_eq!(wanted(&request("vm debian")), ["base", "vm", "debian", "block-device-mbr"]);
        let wish = Request { arch: "arm64".into(), skip_base: true, ..request("debian vm") };
        assert_eq!(wanted(&wish), ["debian", "vm", "block-device-efi"]);
    }

    #[test]
    fn a_block_device_that_is_named_is_enough_and_without_vm_none_comes() {
        assert_eq!(wanted(&request("vm block-device-gpt debian")), ["base", "vm", "block-device-gpt", "debian"]);
        assert_eq!(wanted(&request("debian")), ["base", "debian"]);
    }

    #[test]
    fn a_ram_disk_has_its_element_before_base() {
        let mut wish = Request { kind: Kind::Ramdisk, ..request("debian") };
        assert_eq!(wanted(&wish), ["ramdisk", "base", "debian"]);
        wish.variables.insert("RAMDISK_ELEMENT".into(), "dracut-ramdisk".into());
        wish.skip_base = true;
        assert_eq!(wanted(&wish), ["dracut-ramdisk", "debian"]);
    }
}
