//! Tokens that are good, and every way known to us of making a bad one pass.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use ring::{hmac, rsa};
use serde_json::json;
use wellspring_models::Secret;

use super::*;

const NOW: i64 = 1_772_366_400;
const SHARED: &str = "fR4x1oZb8vQm2LhK9wYtD5sNc7UeJ3gA6pXiB0yE";
/// Made for these tests; opens nothing.
const RSA: &[u8] = include_bytes!("rsa-for-tests.der");

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn config(algorithm: Algorithm) -> JwtConfig {
    let text = format!("algorithm = '{algorithm:?}'\nissuer = 'https://id.example'\naudience = 'wellspring'");
    toml::from_str(&text).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["other", "wellspring"], "sub": "ada", "exp": NOW + 600, "nbf": NOW - 5,
        "iat": NOW - 5, "tenant": "acme", "groups": ["ops", "dev"], "scope": "openid read write",
    })
}

/// The claims with some replaced, and those given as null taken out.
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// Somebody who can sign.
enum Signer {
    Shared(Vec<u8>),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Shared(key) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{text}.{}", b64(self.sign(&text)))
    }
}

fn shared() -> Signer {
    Signer::Shared(SHARED.as_bytes().to_vec())
}

fn rsa() -> Signer {
    Signer::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap())
}

fn ec() -> Signer {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    Signer::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap())
}

fn jwk(signer: &Signer, kid: &str) -> Value {
    match signer {
        Signer::Rsa(pair) => {
            let public: rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
            json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(public.n), "e": b64(public.e) })
        }
        Signer::Ec(pair) => {
            let point = pair.public_key().as_ref();
            json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..]) })
        }
        Signer::Shared(key) => json!({ "kty": "oct", "kid": kid, "k": b64(key) }),
    }
}

fn set(folder: &tempfile::TempDir, keys: &[Value]) -> PathBuf {
    let path = folder.path().join("jwks.json");
    fs_err::write(&path, json!({ "keys": keys }).to_string()).unwrap();
    path
}

async fn of_shared() -> Verifier {
    let secret = Some(Secret::new(SHARED));
    Verifier::new(JwtConfig { secret, ..config(Algorithm::HS256) }).await.unwrap()
}

async fn of_set(algorithm: Algorithm, path: PathBuf) -> anyhow::Result<Verifier> {
    Verifier::new(JwtConfig { jwks_file: Some(path), ..config(algorithm) }).await
}

fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "typ": "JWT" })
}

#[tokio::test]
async fn claims_become_a_scope() {
    let verifier = of_shared().await;
    let verify = async |claims: Value| verifier.verify(&shared().token(&header("HS256"), &claims), NOW).await;
    let (grant, subject, until) = verify(claims()).await.unwrap();
    let principals = ["group:dev", "group:ops", "user:ada"].map(str::to_owned).into();
    let scope = Scope::restricted(TenantId::new("acme").unwrap(), principals, Collections::All);
    assert_eq!((grant.scope, subject.as_str(), until), (scope, "ada", NOW + 630));
    assert_eq!(grant.rights.iter().collect::<Vec<_>>(), [Right::Read, Right::Write]);
    // An administrator sees all of its tenant; nobody becomes an operator by a token.
    let (admin, ..) = verify(with(json!({ "scope": ["admin", "operator"] }))).await.unwrap();
    assert_eq!(*admin.scope.access(), Access::Everything);
    assert!(!admin.rights.permit(Right::Operator));
    let (nothing, ..) = verify(with(json!({ "scope": null, "groups": null }))).await.unwrap();
    assert!(nothing.rights.is_empty());
}

#[tokio::test]
async fn public_keys_are_chosen_by_their_id() {
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, signer, other) in [(Algorithm::RS256, rsa(), ec()), (Algorithm::ES256, ec(), rsa())] {
        let name = format!("{algorithm:?}");
        let path = set(&folder, &[jwk(&other, "other"), jwk(&shared(), "shared"), jwk(&signer, "mine")]);
        let verifier = of_set(algorithm, path).await.unwrap();
        for id in [json!({ "alg": name, "kid": "mine" }), json!({ "alg": name })] {
            verifier.verify(&signer.token(&id, &claims()), NOW).await.unwrap();
        }
        for id in ["other", "shared", "MINE", "../mine", "mine' OR '1'='1", "/dev/null", "file:///etc/passwd"]
        {
            let token = signer.token(&json!({ "alg": name, "kid": id }), &claims());
            assert_eq!(verifier.verify(&token, NOW).await.unwrap_err(), "unknown-key", "{id}");
        }
    }
    // With several keys a token has to say which.
    let (one, two) = (ec(), ec());
    let verifier = of_set(Algorithm::ES256, set(&folder, &[jwk(&one, "1"), jwk(&two, "2")])).await.unwrap();
    assert_eq!(
        verifier.verify(&one.token(&header("ES256"), &claims()), NOW).await.unwrap_err(),
        "unknown-key"
    );
    let crossed = one.token(&json!({ "alg": "ES256", "kid": "2" }), &claims());
    assert_eq!(verifier.verify(&crossed, NOW).await.unwrap_err(), "signature");
}

#[tokio::test]
async fn the_token_does_not_choose_how_it_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = set(&folder, &[jwk(&rsa(), "mine")]);
    let verifier = of_set(Algorithm::RS256, path.clone()).await.unwrap();
    // Without a signature, in every spelling.
    for none in
        ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "RS384", "RS512", "PS256", "ES256", "EdDSA"]
    {
        let text = format!("{}.{}", b64(header(none).to_string()), b64(claims().to_string()));
        for signature in [String::new(), b64(rsa().sign(&text))] {
            let token = format!("{text}.{signature}");
            assert_eq!(verifier.verify(&token, NOW).await.unwrap_err(), "algorithm", "{none}");
        }
    }
    // The public key as a shared secret, in every form that somebody may have it in.
    let Signer::Rsa(pair) = rsa() else { unreachable!() };
    let public: rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
    let der = pair.public().as_ref().to_vec();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(&der)
    );
    let forms = [
        der,
        pem.into_bytes(),
        public.n.clone(),
        b64(&public.n).into_bytes(),
        fs_err::read(&path).unwrap(),
        vec![],
    ];
    for form in forms {
        let forger = Signer::Shared(form);
        assert_eq!(
            verifier.verify(&forger.token(&header("HS256"), &claims()), NOW).await.unwrap_err(),
            "algorithm"
        );
        assert_eq!(
            verifier.verify(&forger.token(&header("RS256"), &claims()), NOW).await.unwrap_err(),
            "signature"
        );
    }
    // And a token of another algorithm where a shared secret is expected.
    let verifier = of_shared().await;
    for (name, signer) in [("RS256", rsa()), ("ES256", ec())] {
        assert_eq!(
            verifier.verify(&signer.token(&header(name), &claims()), NOW).await.unwrap_err(),
            "algorithm"
        );
    }
    for forger in
        [Signer::Shared(Vec::new()), Signer::Shared(b"secret".to_vec()), Signer::Shared(vec![0; 32])]
    {
        assert_eq!(
            verifier.verify(&forger.token(&header("HS256"), &claims()), NOW).await.unwrap_err(),
            "signature"
        );
    }
}

#[tokio::test]
async fn headers_that_bring_keys_or_demands_are_refused() {
    let verifier = of_shared().await;
    let forger = ec();
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("jku", json!("http://169.254.169.254/latest/meta-data")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("jwk", jwk(&forger, "mine")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("JWE")),
        ("typ", json!(1)),
        ("kid", json!(1)),
        ("kid", json!("")),
        ("kid", json!(["mine"])),
        ("kid", json!("x".repeat(257))),
    ] {
        let mut header = header("HS256");
        header[name] = value.clone();
        // Signed with the right key: it is the header that is wrong.
        let refused = verifier.verify(&shared().token(&header, &claims()), NOW).await.unwrap_err();
        assert_eq!(refused, "header", "{name}: {value}");
    }
}

#[tokio::test]
async fn claims_must_be_there_and_hold_now() {
    let verifier = of_shared().await;
    for (changes, why) in [
        (json!({ "exp": null }), "claims"),
        (json!({ "nbf": null }), "claims"),
        (json!({ "iss": null }), "claims"),
        (json!({ "aud": null }), "claims"),
        (json!({ "sub": null }), "claims"),
        (json!({ "tenant": null }), "claims"),
        (json!({ "iss": "https://evil.example" }), "claims"),
        (json!({ "iss": ["https://evil.example", "https://id.example"] }), "claims"),
        (json!({ "iss": "https://id.example/" }), "claims"),
        (json!({ "aud": "another" }), "claims"),
        (json!({ "aud": [] }), "claims"),
        (json!({ "sub": "" }), "claims"),
        (json!({ "sub": "a\u{0}b" }), "claims"),
        (json!({ "sub": 7 }), "claims"),
        (json!({ "tenant": "../default" }), "claims"),
        (json!({ "tenant": "ACME" }), "claims"),
        (json!({ "tenant": ["acme"] }), "claims"),
        (json!({ "groups": { "ops": true } }), "claims"),
        (json!({ "groups": [1] }), "claims"),
        (json!({ "groups": ["a\nb"] }), "claims"),
        (json!({ "exp": NOW - 31 }), "expired"),
        (json!({ "exp": 0 }), "expired"),
        (json!({ "exp": -1 }), "claims"),
        (json!({ "exp": "9999999999" }), "claims"),
        (json!({ "exp": NOW + 90_000 }), "long-lived"),
        (json!({ "exp": i64::MAX }), "long-lived"),
        (json!({ "exp": u64::MAX }), "claims"),
        (json!({ "nbf": NOW + 31 }), "not-yet"),
        (json!({ "nbf": "0" }), "claims"),
        (json!({ "iat": NOW + 31 }), "not-yet"),
        (json!({ "iat": "now" }), "not-yet"),
    ] {
        let token = shared().token(&header("HS256"), &with(changes.clone()));
        assert_eq!(verifier.verify(&token, NOW).await.unwrap_err(), why, "{changes}");
    }
    // Within the leeway it is let in.
    for changes in [json!({ "exp": NOW - 29 }), json!({ "nbf": NOW + 30 }), json!({ "iat": null })] {
        verifier.verify(&shared().token(&header("HS256"), &with(changes)), NOW).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_torn_changed_or_too_large_is_refused() {
    let verifier = of_shared().await;
    let good = shared().token(&header("HS256"), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let other = b64(with(json!({ "tenant": "victim" })).to_string());
    for (token, why) in [
        (format!("{}.{other}.{}", parts[0], parts[2]), "signature"),
        (format!("{}.{}.", parts[0], parts[1]), "signature"),
        (format!("{}.{}", parts[0], parts[1]), "malformed"),
        (format!("{good}.{}", parts[2]), "malformed"),
        (String::new(), "malformed"),
        ("..".to_owned(), "malformed"),
        (format!("{}.{}.{}", b64("[]"), parts[1], parts[2]), "malformed"),
        (format!("{}=.{}.{}", parts[0], parts[1], parts[2]), "malformed"),
        (shared().token(&header("HS256"), &with(json!({ "pad": "x".repeat(9_000) }))), "oversized"),
        (shared().token(&json!({ "alg": "HS256", "kid": "x".repeat(2_000) }), &claims()), "malformed"),
    ] {
        assert_eq!(verifier.verify(&token, NOW).await.unwrap_err(), why, "{token:.60}");
    }
}

#[tokio::test]
async fn weak_and_empty_key_sets_refuse_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut short = jwk(&rsa(), "short");
    short["n"] = json!(b64([0xff; 128]));
    let mut padded = jwk(&rsa(), "padded");
    padded["n"] = json!(b64([vec![0; 128], vec![0xff; 128]].concat()));
    let mut encrypting = jwk(&rsa(), "enc");
    encrypting["use"] = json!("enc");
    for keys in [
        vec![],
        vec![short],
        vec![padded],
        vec![encrypting],
        vec![jwk(&ec(), "ec")],
        vec![jwk(&shared(), "oct")],
    ] {
        assert!(of_set(Algorithm::RS256, set(&folder, &keys)).await.is_err(), "{keys:?}");
    }
    assert!(of_set(Algorithm::RS256, folder.path().join("none.json")).await.is_err());
    let weak = JwtConfig { secret: Some(Secret::new("too short")), ..config(Algorithm::HS256) };
    assert!(Verifier::new(weak).await.is_err());
    for url in ["http://id.example/jwks", "ftp://id.example/jwks", "file:///etc/passwd", "jwks"] {
        let config = JwtConfig { jwks_url: Some(url.to_owned()), ..config(Algorithm::RS256) };
        assert!(Verifier::new(config).await.is_err(), "{url}");
    }
}

/// Answers every request with the set that stands in the lock, and counts.
async fn issuer(
    set: std::sync::Arc<std::sync::Mutex<Value>>,
) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let router = axum::Router::new().fallback(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let body = axum::Json(set.lock().unwrap().clone());
        async move { body }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, asked)
}

#[tokio::test]
async fn key_sets_are_fetched_and_strangers_cannot_make_us_fetch_them_often() {
    let signer = ec();
    let served = std::sync::Arc::new(std::sync::Mutex::new(json!({ "keys": [jwk(&signer, "old")] })));
    let (url, asked) = issuer(std::sync::Arc::clone(&served)).await;
    let config = JwtConfig { jwks_url: Some(url), ..config(Algorithm::ES256) };
    let verifier = Verifier::new(config).await.unwrap();
    let token = |kid: &str| signer.token(&json!({ "alg": "ES256", "kid": kid }), &claims());
    verifier.verify(&token("old"), NOW).await.unwrap();
    for id in 0..50 {
        let refused = verifier.verify(&token(&format!("made-up-{id}")), NOW).await.unwrap_err();
        assert_eq!(refused, "unknown-key");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}
