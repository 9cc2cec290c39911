//! The labelling page over HTTP: what it lets through, what it keeps, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// The command with its page served; killed when dropped.
struct Desk {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    /// With the token and a slash at its end.
    url: String,
    client: Client,
}

impl Desk {
    fn open(folder: &Path) -> Self {
        let documents = folder.join("documents");
        fs_err::create_dir_all(&documents).unwrap();
        for (name, text) in [
            ("travel.md", "# Travel\n\nA hotel night may cost 95 euros. <script>alert(1)</script>\n"),
            ("leave.md", "# Leave\n\nEverybody has thirty days of leave.\n"),
            ("lunch.md", "# Lunch\n\nThe canteen opens at noon.\n"),
        ] {
            fs_err::write(documents.join(name), text).unwrap();
        }
        fs_err::write(folder.join("queries.tsv"), "q1\thotel night cost\nq2\tcanteen noon\n").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wellspring"))
            .args(["eval", "label", "--web", "--queries", "queries.tsv", "--documents", "documents"])
            .args(["--out", "judged.tsv", "--work", "work", "--depth", "3"])
            .current_dir(folder)
            .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
            .env_remove("WELLSPRING_CONFIG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { child, out, url, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let reply = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let reply = self.client.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn grade(state: &Value, grade: i32) -> Value {
    json!({ "query": state["place"]["query"], "document": state["place"]["document"], "grade": grade })
}

#[tokio::test]
async fn the_page_keeps_judgements_and_takes_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(folder.path());
    let judged = || fs_err::read_to_string(folder.path().join("judged.tsv")).unwrap();
    let (_, first) = desk.get("state").await;
    assert_eq!(
        (&first["place"]["query"], &first["place"]["text"]),
        (&json!("q1"), &json!("hotel night cost"))
    );
    assert!(first["shown"]["text"].as_str().unwrap().len() > 10 && first["progress"]["judged"] == 0);

    let (status, second) = desk.post("grade", grade(&first, 3)).await;
    assert_eq!((status, &second["progress"]["judged"]), (StatusCode::OK, &json!(1)));
    let row = format!("q1\t{}\t3\n", first["place"]["document"].as_str().unwrap());
    assert!(judged().ends_with(&row), "{}", judged());
    let (status, again) = desk.post("grade", grade(&first, 0)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{again}");
    assert_eq!(again["place"], second["place"], "the reply says where the person is");
    let (status, _) = desk.post("grade", grade(&second, 7)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

    let (_, undone) = desk.post("go", json!({ "to": "undo" })).await;
    assert_eq!((&undone["place"], judged().lines().count()), (&first["place"], 1));
    let (_, later) = desk.post("go", json!({ "to": "query" })).await;
    assert_eq!(later["place"]["query"], "q2");
    desk.post("grade", grade(&later, 2)).await;

    let pid = desk.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(desk.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    desk.out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("kept in judged.tsv: grade 2: 1"), "{rest}");
}

#[tokio::test]
async fn only_this_page_on_this_machine_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path());
    let reply = desk.client.get(&desk.url).send().await.unwrap();
    let policy = reply.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let page = reply.text().await.unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-")
            && policy.contains("script-src 'sha256-")
    );
    assert!(!policy.contains("unsafe") && page.contains("<title>Judge documents</title>"), "{policy}");
    for loaded in ["http://", "https://", "src=", "href=", "{style}", "{script}", "innerHTML"] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    let base = desk.url.trim_end_matches('/').rsplit_once('/').unwrap().0;
    for path in ["", "/", "/state", "/00000000000000000000000000000000/state"] {
        let reply = desk.client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let state = format!("{}state", desk.url);
    let rebound = desk.client.get(&state).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    let step = || desk.client.post(format!("{}go", desk.url));
    let foreign =
        step().header("origin", "http://evil.example").json(&json!({ "to": "next" })).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let form = step().header("content-type", "text/plain").body("{\"to\":\"next\"}").send().await.unwrap();
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
