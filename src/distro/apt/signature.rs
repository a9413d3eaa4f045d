//! Who signed an index.
//!
//! In: a cleartext-signed text (RFC 9580 §7) and the keys that are trusted. Out: the text that was really signed. Not here:
//! what the text says.

use camino::Utf8Path;
use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

use crate::distro::DistroError;
use crate::store::packages::sha256;

macro_rules! key {
    ($name:literal) => {
        (
            concat!("kiln's own ", $name),
            include_bytes!(concat!("../../../elements/debian-minimal/keys/debian-archive-", $name, ".asc")).as_slice(),
        )
    };
}
/// The keys of Debian's archive, for hosts that do not have them.
const DEBIAN: [(&str, &[u8]); 6] = [
    key!("bookworm-automatic"),
    key!("bookworm-security-automatic"),
    key!("bookworm-stable"),
    key!("trixie-automatic"),
    key!("trixie-security-automatic"),
    key!("trixie-stable"),
];

/// How far in the future a signature may have been made, in seconds: clocks differ.
const AHEAD: i64 = 24 * 60 * 60;

/// Trusted keys.
#[derive(Debug)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
    digest: String,
    origin: String,
}

impl Keyring {
    /// The keys of `option` when given; else those of the host's Debian keyrings below `host`; else kiln's own copy.
    ///
    /// # Errors
    /// When the file of `option` cannot be read or holds no key.
    pub fn load(option: Option<&Utf8Path>, host: &Utf8Path) -> Result<Self, DistroError> {
        if let Some(path) = option {
            let bytes = std::fs::read(path).map_err(|source| DistroError::File {
                action: "read the keyring",
                path: path.to_owned(),
                source,
            })?;
            return Self::from_files(&[(path.as_str(), &bytes)]);
        }
        let packaged = host.join("usr/share/keyrings/debian-archive-keyring.gpg");
        let trusted = host.join("etc/apt/trusted.gpg.d");
        let mut files = Vec::new();
        for path in [packaged.with_extension("pgp"), packaged] {
            if let Ok(bytes) = std::fs::read(&path) {
                files.push((path.to_string(), bytes));
                break;
            }
        }
        if files.is_empty() {
            let entries = trusted
                .read_dir_utf8()
                .map(|entries| entries.filter_map(Result::ok).collect())
                .unwrap_or_else(|_| Vec::new());
            for entry in entries.iter().filter(|entry| entry.file_name().starts_with("debian-archive-")) {
                if let Ok(bytes) = std::fs::read(entry.path()) {
                    files.push((entry.path().to_string(), bytes));
                }
            }
            files.sort();
        }
        let borrowed: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        match Self::from_files(&borrowed) {
            Ok(keyring) => Ok(keyring),
            Err(_) => Self::from_files(&DEBIAN),
        }
    }

    /// The keys in files, each binary or armored: (name, content).
    ///
    /// # Errors
    /// When one holds no key.
    pub fn from_files(files: &[(&str, &[u8])]) -> Result<Self, DistroError> {
        let mut keys = Vec::new();
        let mut all = Vec::new();
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        for (name, bytes) in files {
            let found: Vec<SignedPublicKey> = blocks(bytes)
                .filter_map(|block| SignedPublicKey::from_reader_many(block).ok())
                .flat_map(|(found, _)| found.filter_map(Result::ok).collect::<Vec<_>>())
                .collect();
            if found.is_empty() {
                return Err(no_key(name));
            }
            keys.extend(found);
            all.extend_from_slice(bytes);
        }
        if keys.is_empty() {
            return Err(no_key("the keyring"));
        }
        Ok(Self { keys, digest: sha256(&all), origin: names.join(", ") })
    }

    /// Digest over the key files.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The signed text of `message`, with `\r\n` line ends, when a trusted key signed it that is good at `now` (seconds since
    /// 1970). `name` is the message's URL.
    ///
    /// # Errors
    /// When no signature is good; the reason names each signature's key.
    pub fn verify(&self, message: &[u8], name: &str, now: i64) -> Result<String, DistroError> {
        let untrusted = |reason: String| DistroError::Trust { url: name.to_owned(), reason };
        let text = std::str::from_utf8(message).map_err(|_| untrusted("it is not text".into()))?;
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(|error| {
            untrusted(format!("it is not a cleartext-signed file ({error}); is the URL really an archive's?"))
        })?;
        let signed = message.signed_text();
        let mut reasons = Vec::new();
        for signature in message.signatures() {
            match self.judge(signature, signed.as_bytes(), now) {
                Ok(()) => return Ok(signed),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(untrusted(format!(
            "no good signature ({}); keys were taken from {}; give the archive's keys with option keyring (DIB_APT_KEYRING)",
            reasons.join("; "),
            self.origin
        )))
    }

    fn judge(&self, signature: &Signature, text: &[u8], now: i64) -> Result<(), String> {
        let issuers: Vec<String> = signature.issuer_key_id().iter().map(|id| hex_id(id)).collect();
        let issuer = issuers.first().cloned().unwrap_or_else(|| "unknown".into());
        if matches!(
            signature.hash_alg(),
            None | Some(HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)
        ) {
            return Err(format!("the signature of {issuer} uses a weak digest"));
        }
        if !matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary)) {
            return Err(format!("the signature of {issuer} is not one over a text"));
        }
        let created = signature.created().map_or(0, |time| i64::from(time.as_secs()));
        if created > now + AHEAD {
            return Err(format!("the signature of {issuer} was made in the future; check this machine's clock"));
        }
        if expired(created, signature.signature_expiration_time(), now) {
            return Err(format!("the signature of {issuer} has expired"));
        }
        let mut reason = format!("key {issuer} is not trusted");
        for key in &self.keys {
            let primary = &key.primary_key;
            let may = |id: &pgp::types::KeyId| issuers.is_empty() || issuers.contains(&hex_id(id));
            if may(&primary.legacy_key_id()) && signature.verify(primary, text).is_ok() {
                match primary_state(key, now) {
                    Ok(()) => return Ok(()),
                    Err(state) => reason = format!("key {} {state}", hex_id(&primary.legacy_key_id())),
                }
            } else if issuers.contains(&hex_id(&primary.legacy_key_id())) {
                reason = format!("the signature of {issuer} does not match the text");
            }
            for subkey in &key.public_subkeys {
                if may(&subkey.key.legacy_key_id()) && signature.verify(&subkey.key, text).is_ok() {
                    match primary_state(key, now).and_then(|()| subkey_state(key, subkey, now)) {
                        Ok(()) => return Ok(()),
                        Err(state) => reason = format!("key {} {state}", hex_id(&subkey.key.legacy_key_id())),
                    }
                } else if issuers.contains(&hex_id(&subkey.key.legacy_key_id())) {
                    reason = format!("the signature of {issuer} does not match the text");
                }
            }
        }
        Err(reason)
    }
}

/// What an armored block of keys begins with (RFC 9580 §6.2).
const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Whether keys are armored; else they are binary.
pub fn is_armored(keys: &[u8]) -> bool {
    keys.windows(ARMOR.len()).any(|window| window == ARMOR)
}

/// The armored blocks of a file, or the whole of a binary one.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> = if is_armored(bytes) {
        (0..=bytes.len() - ARMOR.len()).filter(|at| bytes[*at..].starts_with(ARMOR)).collect()
    } else {
        vec![0]
    };
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([bytes.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &bytes[start..end])
}

fn no_key(name: &str) -> DistroError {
    DistroError::Format { file: name.to_owned(), reason: "it holds no OpenPGP public key, binary or armored".into() }
}

fn expired(created: i64, after: Option<pgp::types::Duration>, now: i64) -> bool {
    after.is_some_and(|after| after.as_secs() != 0 && created + i64::from(after.as_secs()) < now)
}

/// Whether the primary key may be used at `now`: its newest valid self-signature rules.
fn primary_state(key: &SignedPublicKey, now: i64) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let created = i64::from(primary.created_at().as_secs());
    if key.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok()) {
        return Err("was revoked");
    }
    // A user ID counts by its newest self-signature, unless that takes it back.
    let users = key.details.users.iter().filter_map(|user| {
        let good = |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let last = newest(user.signatures.iter().filter(own(primary)).filter(good))?;
        (last.typ() != Some(SignatureType::CertRevocation)).then_some(last)
    });
    let direct = key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    // A newer direct signature without a limit must not lift the limit that a user's certification sets.
    let (user, direct) = (newest(users), newest(direct));
    if user.is_none() && direct.is_none() {
        return Err("has no valid self-signature");
    }
    if [user, direct].into_iter().flatten().any(|signature| expired(created, signature.key_expiration_time(), now)) {
        return Err("has expired");
    }
    Ok(())
}

/// The signature made last.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map(pgp::types::Timestamp::as_secs))
}

/// Whether a signature claims to be by the key itself: checking strangers' signatures costs time and says nothing.
fn own<K: KeyDetails>(key: &K) -> impl Fn(&&Signature) -> bool {
    let id = key.legacy_key_id();
    move |signature| signature.issuer_key_id().is_empty() || signature.issuer_key_id().contains(&&id)
}

fn subkey_state(
    key: &SignedPublicKey,
    subkey: &pgp::composed::SignedPublicSubKey,
    now: i64,
) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let valid = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    let valid: Vec<&Signature> = subkey.signatures.iter().filter(valid).collect();
    if valid.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("was revoked");
    }
    let binding = newest(valid.into_iter()).ok_or("is not bound to its primary key")?;
    let back =
        binding.embedded_signature().is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !binding.key_flags().sign() || !back {
        return Err("is not meant for signing");
    }
    let created = i64::from(subkey.key.created_at().as_secs());
    if expired(created, binding.key_expiration_time(), now) { Err("has expired") } else { Ok(()) }
}

fn hex_id(id: &pgp::types::KeyId) -> String {
    id.to_string().to_uppercase()
}

#[cfg(test)]
mod tests {
    use pgp::composed::{ArmorOptions, SignedSecretKey};
    use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
    use pgp::ser::Serialize;
    use pgp::types::{Duration, Password, Timestamp};

    use super::super::fixture::{key, sign};
    use super::*;

    const TEXT: &str = "Suite: stable\n- dashed\nSHA256:\n a 1 b\n";

    fn now() -> i64 {
        Timestamp::now().as_secs().into()
    }

    fn keyring(key: &SignedPublicKey) -> Keyring {
        Keyring::from_files(&[("armored.asc", key.to_armored_string(ArmorOptions::default()).unwrap().as_bytes())])
            .unwrap()
    }

    /// A signature of `key` over itself.
    fn over_itself(key: &SignedSecretKey, kind: SignatureType, extra: Option<SubpacketData>) -> Signature {
        let mut config = SignatureConfig::from_key(rand::thread_rng(), &key.primary_key, kind).unwrap();
        config.hashed_subpackets = [
            Some(SubpacketData::SignatureCreationTime(Timestamp::now())),
            Some(SubpacketData::IssuerFingerprint(key.primary_key.fingerprint())),
            extra,
        ]
        .into_iter()
        .flatten()
        .map(|data| Subpacket::regular(data).unwrap())
        .collect();
        config.sign_key(&key.primary_key, &Password::empty(), &key.to_public_key().primary_key).unwrap()
    }

    #[test]
    fn a_good_signature_gives_the_signed_text_with_armored_and_binary_keys() {
        let key = key();
        let message = sign(TEXT, &key);
        let text = keyring(&key.to_public_key()).verify(message.as_bytes(), "u", now()).unwrap();
        assert!(text.contains("\r\n- dashed\r\n"), "{text:?}");
        let binary = key.to_public_key().to_bytes().unwrap();
        Keyring::from_files(&[("a.gpg", &binary)]).unwrap().verify(message.as_bytes(), "u", now()).unwrap();
    }

    #[test]
    fn a_changed_text_and_a_stranger_are_refused_and_the_file_is_named() {
        let key = key();
        let message = sign(TEXT, &key);
        let changed = message.replace("Suite: stable", "Suite: forged");
        let error = keyring(&key.to_public_key())
            .verify(changed.as_bytes(), "http://m/InRelease", now())
            .unwrap_err()
            .to_string();
        assert!(error.contains("http://m/InRelease") && error.contains("does not match"), "{error}");
        let stranger = super::super::fixture::key().to_public_key();
        let error = keyring(&stranger).verify(message.as_bytes(), "u", now()).unwrap_err().to_string();
        assert!(error.contains("not trusted") && error.contains("DIB_APT_KEYRING"), "{error}");
        assert!(keyring(&stranger).verify(b"<html>", "u", now()).unwrap_err().to_string().contains("cleartext-signed"));
    }

    #[test]
    fn revoked_and_expired_keys_are_refused() {
        let key = key();
        let message = sign(TEXT, &key);
        let mut revoked = key.to_public_key();
        revoked.details.revocation_signatures.push(over_itself(&key, SignatureType::KeyRevocation, None));
        let error = keyring(&revoked).verify(message.as_bytes(), "u", now()).unwrap_err().to_string();
        assert!(error.contains("was revoked"), "{error}");
        let mut short = key.to_public_key();
        let limit = Some(SubpacketData::KeyExpirationTime(Duration::from_secs(1000)));
        short.details.direct_signatures.push(over_itself(&key, SignatureType::Key, limit));
        keyring(&short).verify(message.as_bytes(), "u", now()).unwrap();
        let error = keyring(&short).verify(message.as_bytes(), "u", now() + 2000).unwrap_err().to_string();
        assert!(error.contains("has expired"), "{error}");
    }

    #[test]
    fn a_user_whose_certification_was_taken_back_does_not_vouch_for_the_key() {
        let key = key();
        let message = sign(TEXT, &key);
        let mut public = key.to_public_key();
        let mut config =
            SignatureConfig::from_key(rand::thread_rng(), &key.primary_key, SignatureType::CertRevocation).unwrap();
        let later = Timestamp::from_secs(Timestamp::now().as_secs() + 10);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(later)).unwrap(),
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.primary_key.fingerprint())).unwrap(),
        ];
        let user = &mut public.details.users[0];
        let taken_back = config
            .sign_certification(
                &key.primary_key,
                &key.to_public_key().primary_key,
                &Password::empty(),
                Tag::UserId,
                &user.id,
            )
            .unwrap();
        user.signatures.push(taken_back);
        let error = keyring(&public).verify(message.as_bytes(), "u", now()).unwrap_err().to_string();
        assert!(error.contains("no valid self-signature"), "{error}");
    }

    #[test]
    fn a_signature_from_the_future_is_refused() {
        let key = key();
        let message = sign(TEXT, &key);
        let error =
            keyring(&key.to_public_key()).verify(message.as_bytes(), "u", now() - 3 * AHEAD).unwrap_err().to_string();
        assert!(error.contains("in the future"), "{error}");
    }

    #[test]
    fn every_armored_block_of_a_keyring_is_read() {
        let (one, two) = (key(), key());
        let armored = |key: &SignedSecretKey| key.to_public_key().to_armored_string(ArmorOptions::default()).unwrap();
        let text = format!("{}{}", armored(&one), armored(&two));
        let keyring = Keyring::from_files(&[("both.asc", text.as_bytes())]).unwrap();
        for key in [&one, &two] {
            keyring.verify(sign(TEXT, key).as_bytes(), "u", now()).unwrap();
        }
        assert!(is_armored(text.as_bytes()) && !is_armored(&one.to_public_key().to_bytes().unwrap()));
    }

    #[test]
    fn kilns_own_copy_of_the_archive_keys_is_used_on_a_host_without_any() {
        let empty = tempfile::tempdir().unwrap();
        let keyring = Keyring::load(None, Utf8Path::from_path(empty.path()).unwrap()).unwrap();
        assert_eq!(keyring.keys.len(), 6);
        for key in &keyring.keys {
            assert_eq!(primary_state(key, 1_780_000_000), Ok(()));
        }
        assert!(Keyring::load(Some(Utf8Path::new("/nonexistent")), Utf8Path::new("/")).is_err());
    }
}
