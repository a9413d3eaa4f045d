//! `kiln push`, from outside: to `docker-registry`, and to a registry that breaks off.

mod daemon;
mod http;
mod strict;
mod tokens;

use std::fs;
use std::process::{Command, Output};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use self::daemon::Daemon;
use self::strict::Faults;
use self::tokens::{PASSWORD, Tokens};
use crate::support::{Sandbox, approve, stderr, stdout};

/// Bytes of a layer that is sent in two pieces.
const LARGE: u64 = 40 << 20;

/// An image with a small layer, as `kiln build -t oci` writes it, made by hand from what it says; `large` has more in it.
fn layout(sandbox: &Sandbox, large: bool) {
    let content =
        if large { format!("seq 1 9999999 | head -c {LARGE} > tree/file") } else { "echo hello > tree/file".into() };
    let script = r#"put() { d=$(sha256sum $1 | cut -d' ' -f1); cp $1 l/blobs/sha256/$d; echo $d; }
        size() { stat -c %s $1; }
        tar -C tree --sort=name -cf layer .
        layer=$(put layer)
        printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $layer > config
        config=$(put config)
        printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' $config $(size config) $layer $(size layer) > manifest
        manifest=$(put manifest)
        printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' $manifest $(size manifest) > l/index.json
        echo '{"imageLayoutVersion":"1.0.0"}' > l/oci-layout
        tar -C l -cf image.oci.tar oci-layout index.json blobs"#;
    let script = format!("mkdir -p l/blobs/sha256 tree; {content}\n{script}");
    let made = Command::new("bash").args(["-ec", &script]).current_dir(sandbox.path()).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
}

/// Pushes `image.oci.tar` with a home of the test's own.
fn push(sandbox: &Sandbox, words: &[&str]) -> Output {
    let all = [&["push", "image.oci.tar"], words].concat();
    let output = sandbox.kiln(&all).env("HOME", sandbox.path()).output().unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    for secret in [PASSWORD.to_owned(), "wrong word".to_owned()] {
        let encoded = |user: &str| BASE64_STANDARD.encode(format!("{user}:{secret}"));
        let shown = said.contains(&secret) || ["writer", "reader"].iter().any(|user| said.contains(&encoded(user)));
        assert!(!shown, "a secret is shown: {said}");
    }
    output
}

fn pushed(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = push(sandbox, words);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    stdout(&output)
}

fn refused(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = push(sandbox, words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stdout(&output));
    stderr(&output)
}

/// A file with the credentials of `user`, at `name`.
fn credentials(sandbox: &Sandbox, name: &str, host: &str, user: &str, password: &str) {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let path = sandbox.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!(r#"{{"auths": {{"{host}": {{"auth": "{encoded}"}}}}}}"#)).unwrap();
}

#[test]
fn an_image_is_pushed_once_and_its_layers_are_not_sent_again() {
    let sandbox = Sandbox::new();
    layout(&sandbox, false);
    let Some(registry) = Daemon::start(&sandbox, "") else { return };
    let reference = format!("{}/team/web:1.0", registry.host());
    assert!(pushed(&sandbox, &[&reference]).contains("sent\n"));
    assert!(pushed(&sandbox, &[&reference]).contains("0 B sent, 2 layers were there"));
    let url = format!("docker://{reference}");
    let seen = approve("skopeo", &["inspect", "--tls-verify=false", &url]);
    assert!(seen.contains("\"Architecture\": \"amd64\""), "{seen}");
    let copy = format!("oci-archive:{}", sandbox.path().join("copy.tar").display());
    approve("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &url, &copy]);
    let cut = fs::read(sandbox.path().join("image.oci.tar")).unwrap();
    fs::write(sandbox.path().join("cut.oci.tar"), &cut[..1500]).unwrap();
    assert!(!sandbox.kiln(&["push", "cut.oci.tar", &reference]).output().unwrap().status.success());
}

#[test]
fn a_large_layer_goes_in_pieces_and_a_password_is_that_of_a_login() {
    let sandbox = Sandbox::new();
    layout(&sandbox, true);
    // bcrypt of the password, at its lowest cost.
    let users = sandbox.path().join("htpasswd");
    fs::write(&users, "writer:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n").unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: kiln, path: '{}'}}}}", users.display());
    let Some(registry) = Daemon::start(&sandbox, &auth) else { return };
    let (host, reference) = (registry.host(), format!("{}/team/web:1.0", registry.host()));
    let anonymous = refused(&sandbox, &[&reference]);
    assert!(anonymous.contains(&format!("(401); log in with `podman login {host}`")), "{anonymous}");
    credentials(&sandbox, "wrong.json", &host, "writer", "wrong word");
    let wrong = refused(&sandbox, &["--authfile", "wrong.json", &reference]);
    assert!(wrong.contains("does not accept the credentials in wrong.json; log in anew"), "{wrong}");
    // Docker's file, where it is looked for.
    credentials(&sandbox, ".docker/config.json", &format!("https://{host}/v1/"), "writer", PASSWORD);
    assert!(pushed(&sandbox, &[&reference]).contains("sent\n"));
    // What a login leaves.
    let file = sandbox.path().join("login.json");
    let file = file.to_str().unwrap();
    let words = ["login", "--tls-verify=false", "--authfile", file, "-u", "writer", "-p", PASSWORD, &host];
    approve("skopeo", &words);
    fs::remove_dir_all(sandbox.path().join(".docker")).unwrap();
    assert!(pushed(&sandbox, &["--authfile", file, &reference]).contains("2 layers were there"));
    let seen =
        approve("skopeo", &["inspect", "--tls-verify=false", "--authfile", file, &format!("docker://{reference}")]);
    assert!(seen.contains("\"Architecture\": \"amd64\""), "{seen}");
}

#[test]
fn a_token_is_bought_with_a_password_and_again_when_it_does_not_do() {
    let sandbox = Sandbox::new();
    layout(&sandbox, false);
    let tokens = Tokens::start(sandbox.path());
    let Some(registry) = Daemon::start(&sandbox, &tokens.auth()) else { return };
    let (host, reference) = (registry.host(), format!("{}/team/web:1.0", registry.host()));
    let anonymous = refused(&sandbox, &[&reference]);
    assert!(anonymous.contains("does not give a token for anybody (401)"), "{anonymous}");
    credentials(&sandbox, "writer.json", &host, "writer", PASSWORD);
    credentials(&sandbox, "reader.json", &host, "reader", PASSWORD);
    credentials(&sandbox, "wrong.json", &host, "writer", "wrong word");
    let wrong = refused(&sandbox, &["--authfile", "wrong.json", &reference]);
    assert!(wrong.contains("does not accept the credentials in wrong.json"), "{wrong}");
    assert!(pushed(&sandbox, &["--authfile", "writer.json", &reference]).contains("sent\n"));
    assert_eq!(*tokens.given.lock().unwrap(), ["pull", "pull,push"]);
    let reader = refused(&sandbox, &["--authfile", "reader.json", &reference]);
    assert!(
        reader.contains("for the user in reader.json (401): somebody who may has to let that user push to team/web"),
        "{reader}"
    );
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    layout(&sandbox, true);
    let size = fs::metadata(sandbox.path().join("layer")).unwrap().len();
    let small = fs::metadata(sandbox.path().join("config")).unwrap().len();
    let run = |faults: Faults| {
        let (port, state) = strict::start(faults);
        let said = pushed(&sandbox, &[&format!("127.0.0.1:{port}/team/web")]);
        let state = std::mem::take(&mut *state.lock().unwrap());
        assert_eq!(
            (state.blobs.len(), state.manifests.len(), state.manifests.contains_key("latest")),
            (2, 1, true),
            "{said}"
        );
        (state.bytes - small, state.log.iter().filter(|method| *method == "PATCH").count())
    };
    assert_eq!(run(Faults::default()), (size, 2));
    // In the first piece, and in the second: nothing that arrived is sent again.
    for (at, pieces) in [(10 << 20, 2), (35 << 20, 3)] {
        assert_eq!(run(Faults { breaks_at: Some(at), ..Faults::default() }), (size, pieces), "broken at {at}");
    }
    // When nobody remembers, all is.
    let forgotten = Faults { breaks_at: Some(35 << 20), forgets: true, ..Faults::default() };
    assert_eq!(run(forgotten), (size + (35 << 20), 4));
    // A registry that takes whole layers only gets them whole.
    assert_eq!(run(Faults { no_pieces: true, ..Faults::default() }), (size, 1));
    assert_eq!(run(Faults { no_pieces: true, breaks_at: Some(35 << 20), ..Faults::default() }).0, size + (35 << 20));
}

#[test]
fn a_refusal_says_what_to_do() {
    let sandbox = Sandbox::new();
    layout(&sandbox, false);
    let unnamed = refused(&sandbox, &["web:1.0"]);
    assert!(unnamed.contains("registry.example:5000/web:1.0"), "{unnamed}");
    let (port, _) = strict::start(Faults { forbidden: true, ..Faults::default() });
    let reference = format!("127.0.0.1:{port}/team/web");
    let forbidden = refused(&sandbox, &[&reference]);
    assert!(forbidden.contains("does not take a layer for anybody (403)"), "{forbidden}");
    credentials(&sandbox, "a.json", &format!("127.0.0.1:{port}"), "writer", PASSWORD);
    let forbidden = refused(&sandbox, &["--authfile", "a.json", &reference]);
    assert!(forbidden.contains("for the user in a.json (403)"), "{forbidden}");
    let elsewhere =
        sandbox.kiln(&["push", "image.oci.tar", "no-such-host.invalid/web"]).env_remove("https_proxy").output();
    let elsewhere = stderr(&elsewhere.unwrap());
    assert!(elsewhere.contains("there is no host no-such-host.invalid"), "{elsewhere}");
    let unheard = refused(&sandbox, &["127.0.0.1:1/web"]);
    assert!(unheard.contains("nobody listens there; check host and port"), "{unheard}");
    // Not this machine's own name, so HTTPS is spoken.
    let plain = format!("0.0.0.0:{port}/team/web");
    let clear = sandbox.kiln(&["push", "image.oci.tar", &plain]).env_remove("https_proxy").output().unwrap();
    assert!(
        stderr(&clear).contains("does not speak HTTPS; when it is a registry that you trust without, say --plain-http"),
        "{}",
        stderr(&clear)
    );
    assert!(
        refused(&sandbox, &["--authfile", "none.json", &reference]).contains("cannot read credentials from none.json")
    );
}
