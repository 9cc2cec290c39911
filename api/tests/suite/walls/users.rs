//! People who sign in with a name and a password.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::{Reply, Server};

const PASSWORD: &str = "correct horse battery";

/// Runs a command over a stopped server's data, with this on its standard input.
fn command(data: &std::path::Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A server with the user `ada` of the group `ops`, and its operator's key.
async fn with_ada(settings: &[(&str, &str)]) -> (Server, String) {
    let mut settings = settings.to_vec();
    settings.push(("auth.mode", "keys"));
    let (server, first) = secured(&settings).await;
    let (_, data) = server.stop().await;
    let (code, out, said) =
        command(data.path(), &["user", "add", "Ada", "--groups", "ops", "--json"], &format!("{PASSWORD}\n"));
    assert_eq!(code, Some(0), "{said}");
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(made["user"]["name"], "ada");
    assert!(!out.contains(PASSWORD) && !said.contains(PASSWORD));
    (Server::start_over(data, &settings).await, first)
}

async fn login(server: &Server, name: &str, password: &str) -> Reply {
    server.post("/v1/auth/login", json!({ "name": name, "password": password })).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_user_signs_in_and_sees_what_is_for_it() {
    let (server, first) = with_ada(&UNLIMITED).await;
    let operator = Visitor::new(&server, &first);
    for (id, acl) in [
        ("open", Value::Null),
        ("hers", json!(["user:ada"])),
        ("ops", json!(["group:ops"])),
        ("bobs", json!(["user:bob"])),
    ] {
        operator
            .add(json!({ "id": id, "text": format!("The otter sensor of {id} is calibrated."), "acl": acl }))
            .await;
    }
    let signed_in = login(&server, "ADA", PASSWORD).await.good();
    assert_eq!((&signed_in["token_type"], &signed_in["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(
        signed_in["user"],
        json!({ "name": "ada", "tenant": "default", "rights": ["read"], "groups": ["ops"] })
    );
    let ada = Visitor::new(&server, text(&signed_in["access_token"]));
    let mut found = ada.found("otter").await;
    found.sort();
    assert_eq!(found, ["hers", "open", "ops"]);
    assert_eq!(ada.delete("/v1/collections/default/documents/open").await.problem(), "forbidden");
    // A refresh token is no access token.
    let wrong = Visitor::new(&server, text(&signed_in["refresh_token"])).get("/v1/collections").await;
    assert_eq!(wrong.problem(), "unauthenticated");
    let log = operator.get("/v1/audit").await.good().to_string();
    assert!(log.contains("account:ada") && log.contains("\"login\"") && !log.contains(PASSWORD), "{log}");

    assert_eq!(
        server.send(ada.request(Method::POST, "/v1/auth/logout")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ada.get("/v1/collections").await.problem(), "unauthenticated", "at once");
    let refresh = json!({ "refresh_token": signed_in["refresh_token"] });
    assert_eq!(server.post("/v1/auth/refresh", refresh).await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let (server, _) = with_ada(&UNLIMITED).await;
    let refresh =
        async |token: &Value| server.post("/v1/auth/refresh", json!({ "refresh_token": token })).await;
    let first = login(&server, "ada", PASSWORD).await.good();
    let other = login(&server, "ada", PASSWORD).await.good();
    let second = refresh(&first["refresh_token"]).await.good();
    assert_ne!(first["access_token"], second["access_token"]);
    let may = async |token: &Value| Visitor::new(&server, text(token)).get("/v1/collections").await.status;
    assert_eq!(may(&first["access_token"]).await, StatusCode::UNAUTHORIZED, "it was replaced");
    assert_eq!(may(&second["access_token"]).await, StatusCode::OK);
    // A thief with the first one, or the owner after a thief: the whole sign-in ends.
    assert_eq!(refresh(&first["refresh_token"]).await.problem(), "unauthenticated");
    assert_eq!(may(&second["access_token"]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&second["refresh_token"]).await.problem(), "unauthenticated");
    assert_eq!(may(&other["access_token"]).await, StatusCode::OK, "another device stays signed in");
    for bad in ["", "wr_x", "ws_0000000000000000_00", text(&other["access_token"])] {
        assert_eq!(refresh(&json!(bad)).await.problem(), "unauthenticated", "{bad}");
    }
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_look_the_same_and_are_counted() {
    let few = ("auth.users.logins", "{ key_per_minute = 3, tenant_per_minute = 0 }");
    let (server, _) = with_ada(&[few]).await;
    let shown = |reply: &Reply| {
        let mut body = reply.body.clone();
        body.as_object_mut().unwrap().remove("request_id");
        (reply.status, body)
    };
    let wrong = login(&server, "ada", "wrong horse battery").await;
    let unknown = login(&server, "nobody", PASSWORD).await;
    assert_eq!(shown(&wrong), shown(&unknown));
    assert_eq!(wrong.problem(), "unauthenticated");
    for bad in ["", "x\u{0}", "' OR '1'='1"] {
        assert_eq!(shown(&login(&server, bad, PASSWORD).await), shown(&unknown), "{bad:?}");
    }
    let long = login(&server, "longer", &"x".repeat(100_000)).await;
    assert_eq!(long.problem(), "unauthenticated");
    login(&server, "Ada", "wrong").await;
    login(&server, "ADA ", "wrong").await;
    let put_off = login(&server, "ada", PASSWORD).await;
    assert_eq!(put_off.problem(), "rate-limited", "the fourth attempt, whatever the case of the name");
    assert!(put_off.headers.contains_key("retry-after"));
    let evil = server.request(Method::POST, "/v1/auth/login").header("origin", "https://evil.example");
    let evil = evil.json(&json!({ "name": "other", "password": PASSWORD }));
    assert_eq!(server.send(evil).await.problem(), "forbidden", "no other page signs a visitor in");
}

#[tokio::test]
async fn a_browser_gets_cookies_that_no_script_reads() {
    let (server, _) = with_ada(&UNLIMITED).await;
    let own = format!("http://localhost:{}", server.port);
    let send = async |path: &str, cookies: &str, body: Value| {
        let request = server.request(Method::POST, path).header("origin", &own).header("cookie", cookies);
        server.send(request.json(&body)).await
    };
    let cookies = |reply: &Reply| -> Vec<String> {
        let all = reply.headers.get_all("set-cookie").iter();
        all.map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
    };
    let login = json!({ "name": "ada", "password": PASSWORD, "cookie": true });
    let reply = send("/v1/auth/login", "x=y", login).await;
    let set = cookies(&reply);
    let body = reply.good();
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none(), "{body}");
    assert!(
        set[0].starts_with("wellspring=wa_")
            && set[0].ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=900")
    );
    assert!(
        set[1].starts_with("wellspring_refresh=wr_")
            && set[1].contains("; Path=/v1/auth; HttpOnly; SameSite=Strict")
    );
    let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
    let listed = |cookie: &str| server.request(Method::GET, "/v1/collections").header("cookie", cookie);
    assert_eq!(server.send(listed(&pair(&set[0]))).await.status, StatusCode::OK);
    let renewed = send("/v1/auth/refresh", &pair(&set[1]), json!({})).await;
    let again = cookies(&renewed);
    assert_eq!(renewed.status, StatusCode::OK);
    assert_eq!(server.send(listed(&pair(&again[0]))).await.status, StatusCode::OK);
    // A tab that was left open signs out with what it goes on with.
    let out = send("/v1/auth/logout", &pair(&again[1]), json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(server.send(listed(&pair(&again[0]))).await.status, StatusCode::UNAUTHORIZED);
    let reused = send("/v1/auth/refresh", &pair(&set[1]), json!({})).await;
    assert_eq!(reused.status, StatusCode::UNAUTHORIZED);
    assert!(cookies(&reused).iter().all(|cookie| cookie.contains("Max-Age=0")), "they are taken back");
}

#[tokio::test]
async fn accounts_are_made_by_oneself_only_where_that_is_on() {
    let (server, _) = with_ada(&UNLIMITED).await;
    let register = async |server: &Server, name: &str, password: &str| {
        server.post("/v1/auth/register", json!({ "name": name, "password": password })).await
    };
    assert_eq!(register(&server, "bob", PASSWORD).await.problem(), "forbidden");
    let mut settings = UNLIMITED.to_vec();
    settings.push(("auth.users.registration", "true"));
    let (open, first) = with_ada(&settings).await;
    Visitor::new(&open, &first).add(json!({ "id": "a", "text": "An otter.", "acl": ["user:ada"] })).await;
    assert_eq!(register(&open, "bob", "short").await.problem(), "invalid");
    assert_eq!(register(&open, "ADA", PASSWORD).await.problem(), "conflict");
    let made = register(&open, "bob", PASSWORD).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let signed_in = login(&open, "bob", PASSWORD).await.good();
    let bob = Visitor::new(&open, text(&signed_in["access_token"]));
    assert!(bob.found("otter").await.is_empty());
    assert_eq!(bob.post("/v1/collections", json!({ "name": "x" })).await.problem(), "forbidden");
}

/// Whether a sign-in may see the keys of its tenant.
async fn root_again(server: &Server, signed_in: &Value) -> StatusCode {
    Visitor::new(server, text(&signed_in["access_token"])).get("/v1/keys").await.status
}

#[tokio::test]
async fn users_are_kept_by_whoever_has_the_data_folder() {
    let (server, _) = with_ada(&UNLIMITED).await;
    let signed_in = login(&server, "ada", PASSWORD).await.good();
    let (_, data) = server.stop().await;
    let run = |arguments: &[&str], input: &str| command(data.path(), arguments, input);
    let (code, _, said) = run(&["user", "add", "bob"], "short\n");
    assert!(code == Some(2) && said.contains("at least 12 characters"), "{said}");
    assert_eq!(run(&["user", "add", "ada", "--generate"], "").0, Some(2), "the name is taken");
    let (code, made, _) = run(&["user", "add", "root", "--rights", "admin", "--generate", "--json"], "");
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((code, text(&made["password"]).len()), (Some(0), 24));
    let (_, listed, _) = run(&["user", "list", "--json"], "");
    assert_eq!(listed.lines().count(), 2);
    assert!(!listed.contains("argon2") && !listed.contains("password"), "{listed}");
    let (code, new, _) = run(&["user", "password", "ada", "--generate"], "");
    assert_eq!(code, Some(0));
    let mut settings = UNLIMITED.to_vec();
    settings.push(("auth.mode", "keys"));
    let server = Server::start_over(data, &settings).await;
    let old = Visitor::new(&server, text(&signed_in["access_token"]));
    assert_eq!(old.get("/v1/collections").await.problem(), "unauthenticated", "a new password ends what was");
    assert_eq!(login(&server, "ada", PASSWORD).await.problem(), "unauthenticated");
    assert_eq!(login(&server, "ada", new.trim()).await.status, StatusCode::OK);
    let root = login(&server, "root", text(&made["password"])).await.good();
    assert_eq!(root_again(&server, &root).await, StatusCode::OK);
    let (_, data) = server.stop().await;
    assert_eq!(command(data.path(), &["user", "disable", "root"], "").0, Some(0));
    let server = Server::start_over(data, &settings).await;
    assert_eq!(login(&server, "root", text(&made["password"])).await.problem(), "unauthenticated");
    assert_eq!(
        root_again(&server, &root).await,
        StatusCode::UNAUTHORIZED,
        "what it was signed in with ended"
    );
    let (_, data) = server.stop().await;
    assert_eq!(command(data.path(), &["user", "enable", "root"], "").0, Some(0));
    assert_eq!(command(data.path(), &["user", "remove", "ada"], "").0, Some(0));
    assert_eq!(command(data.path(), &["user", "remove", "ada"], "").0, Some(2));
    for secret in [PASSWORD, new.trim()] {
        for file in ["catalog.db", "catalog.db-wal"] {
            let bytes = fs_err::read(data.path().join(file)).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
        }
    }
}
