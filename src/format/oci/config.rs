//! What a container's image says of itself.

use jiff::Timestamp;
use serde_json::{Value, json};

/// What a process finds in its environment when nobody says otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration of an image of `arch` (Debian's spelling) whose only layer is `diff_id`, made at `time`.
pub fn config(arch: &str, diff_id: &str, time: Option<i64>) -> Vec<u8> {
    let created = Timestamp::from_second(time.unwrap_or(0)).unwrap_or_default().to_string();
    let mut config = platform(arch);
    config["created"] = json!(created);
    config["config"] = json!({"Env": [PATH], "Cmd": ["/bin/sh"]});
    config["rootfs"] = json!({"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]});
    config["history"] = json!([{"created": created, "created_by": "kiln"}]);
    config.to_string().into_bytes()
}

/// Operating system and architecture, in Go's spelling.
pub fn platform(arch: &str) -> Value {
    let (name, variant) = match arch {
        "i386" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v5")),
        "arm64" => ("arm64", Some("v8")),
        "ppc64el" => ("ppc64le", None),
        "mips64el" => ("mips64le", None),
        other => (other, None),
    };
    let mut platform = json!({"architecture": name, "os": "linux"});
    if let Some(variant) = variant {
        platform["variant"] = json!(variant);
    }
    platform
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_and_times_are_spelt_as_containers_spell_them() {
        let config: Value = serde_json::from_slice(&config("armhf", "00", Some(1_700_000_000))).unwrap();
        assert_eq!((&config["architecture"], &config["variant"]), (&json!("arm"), &json!("v7")));
        assert_eq!(config["created"], json!("2023-11-14T22:13:20Z"));
        assert_eq!(platform("amd64"), json!({"architecture": "amd64", "os": "linux"}));
    }
}
