//! What comes through the door, and what does not.

use std::process::Command;

use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;

use super::v1::answer_response::Event;
use super::v1::answer_service_client::AnswerServiceClient;
use super::v1::ingest_request::Part;
use super::v1::ingest_response::Outcome;
use super::v1::ingest_service_client::IngestServiceClient;
use super::v1::search_service_client::SearchServiceClient;
use super::{OPEN, by, connect, v1};
use crate::walls::visitor::{Visitor, secured};

const LEAVE: &str = "# Leave\n\nEveryone has thirty days of paid leave.\n\nLeave needs two weeks' notice.\n";

fn document(id: &str, text: &str, acl: Option<&[&str]>) -> Vec<v1::IngestRequest> {
    let head = v1::DocumentHead {
        id: id.to_owned(),
        media_type: "text/markdown".to_owned(),
        acl: acl
            .map(|list| v1::AccessList { principals: list.iter().map(|one| (*one).to_owned()).collect() }),
        ..Default::default()
    };
    let part = |part| v1::IngestRequest { part: Some(part) };
    let mut parts = vec![part(Part::Head(head))];
    parts.extend(text.as_bytes().chunks(7).map(|bytes| part(Part::Chunk(bytes.to_vec()))));
    parts
}

async fn upload(
    channel: &Channel,
    token: &str,
    parts: Vec<v1::IngestRequest>,
) -> Result<Vec<v1::IngestResponse>, tonic::Status> {
    let mut client = IngestServiceClient::new(channel.clone());
    let mut answers = client.ingest(by(token, futures::stream::iter(parts))).await?.into_inner();
    let mut outcomes = Vec::new();
    while let Some(outcome) = answers.message().await? {
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The last state of a job.
async fn followed(channel: &Channel, token: &str, job: &str) -> Result<v1::WatchJobResponse, tonic::Status> {
    let mut client = IngestServiceClient::new(channel.clone());
    let request = by(token, v1::WatchJobRequest { job: job.to_owned() });
    let mut states = client.watch_job(request).await?.into_inner();
    let mut last = None;
    while let Some(state) = states.message().await? {
        last = Some(state);
    }
    Ok(last.unwrap())
}

async fn search(channel: &Channel, token: &str, query: &str) -> Result<v1::SearchResponse, tonic::Status> {
    let request = v1::SearchRequest { query: query.to_owned(), ..Default::default() };
    Ok(SearchServiceClient::new(channel.clone()).search(by(token, request)).await?.into_inner())
}

fn accepted(outcome: &v1::IngestResponse) -> &v1::Accepted {
    match &outcome.outcome {
        Some(Outcome::Accepted(accepted)) => accepted,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn documents_go_in_and_cited_answers_come_out() {
    let (mut server, first) = secured(&[OPEN]).await;
    let channel = connect(&mut server).await;
    let mut parts = document("leave.md", LEAVE, None);
    parts.extend(document("bad\nid", "nothing is kept of this", None));
    parts.extend(document("secret.md", "The vault is behind the third oak.", Some(&["user:ada"])));
    let outcomes = upload(&channel, &first, parts).await.unwrap();
    assert_eq!(outcomes.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1, 2]);
    match &outcomes[1].outcome {
        Some(Outcome::Failure(failure)) => assert_eq!(failure.code, "invalid"),
        other => panic!("{other:?}"),
    }
    for place in [0, 2] {
        let job = followed(&channel, &first, &accepted(&outcomes[place]).job).await.unwrap();
        assert_eq!(job.state(), v1::JobState::Indexed, "{job:?}");
        assert_eq!((job.stage.as_str(), job.version), ("done", 1));
    }

    let found = search(&channel, &first, "paid leave").await.unwrap();
    let hit = &found.hits[0];
    assert_eq!(hit.document_id, "leave.md");
    assert_eq!(
        &LEAVE[hit.start as usize..hit.end as usize],
        hit.text,
        "offsets are bytes of the stored text"
    );

    let question = v1::AnswerRequest {
        question: "How many days of paid leave does everyone have?".to_owned(),
        ..Default::default()
    };
    let mut client = AnswerServiceClient::new(channel.clone());
    let mut events = client.answer(by(&first, question)).await.unwrap().into_inner();
    let (mut seen, mut text, mut last) = (Vec::new(), String::new(), None);
    while let Some(message) = events.message().await.unwrap() {
        match message.event.unwrap() {
            Event::Retrieval(retrieval) => seen.push(("retrieval", retrieval.passages.len())),
            Event::Token(token) => text.push_str(&token.text),
            Event::Citation(citation) => {
                assert_eq!(&LEAVE[citation.start as usize..citation.end as usize], citation.quote);
                seen.push(("citation", 1));
            }
            Event::Done(answer) => last = Some(answer),
            other => panic!("{other:?}"),
        }
    }
    let answer = last.expect("exactly one terminal event, the last");
    assert!(seen[0].0 == "retrieval" && seen.contains(&("citation", 1)), "{seen:?}");
    assert_eq!(answer.answer.trim(), text.trim());
    assert!(answer.answer.contains("thirty days") && !answer.abstained && answer.complete);

    let admin = Visitor::new(&server, &first);
    let reader = admin.key(json!({ "name": "r", "rights": ["read"], "principals": ["user:bob"] })).await;
    let bob = search(&channel, &reader.token, "the vault behind the third oak").await.unwrap();
    assert!(bob.hits.iter().all(|hit| hit.document_id != "secret.md"), "an access list holds here, too");
    let log = admin.get("/v1/audit").await.good().to_string();
    for id in ["leave.md", "secret.md"] {
        assert!(log.contains("addDocument") && log.contains(id), "{log}");
    }
}

#[tokio::test]
async fn a_key_is_asked_for_and_its_rights_hold() {
    let limit = ("limits.queries", "{ key_per_minute = 2, tenant_per_minute = 0 }");
    let (mut server, first) = secured(&[OPEN, limit]).await;
    let channel = connect(&mut server).await;
    let admin = Visitor::new(&server, &first);

    let mut anonymous = SearchServiceClient::new(channel.clone());
    let refused = anonymous.search(v1::SearchRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert_eq!(refused.metadata().get("wellspring-code").unwrap(), "unauthenticated");
    assert!(refused.metadata().get("x-request-id").is_some());
    let wrong = search(&channel, &format!("{first}0"), "x").await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);

    let reader = admin.key(json!({ "name": "reader", "rights": ["read"] })).await;
    let refused = upload(&channel, &reader.token, document("a.md", "a", None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");

    let missing = v1::SearchRequest { collection: "none".into(), query: "x".into(), ..Default::default() };
    let mut client = SearchServiceClient::new(channel.clone());
    let refused = client.search(by(&reader.token, missing)).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.metadata().get("wellspring-code").unwrap().to_str().unwrap()),
        (Code::NotFound, "not-found")
    );
    let wrong = v1::SearchRequest { query: "x".into(), filter: "a = = b".into(), ..Default::default() };
    let refused = client.search(by(&reader.token, wrong)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let put_off = search(&channel, &reader.token, "x").await.unwrap_err();
    assert_eq!(put_off.code(), Code::ResourceExhausted, "the third query of a key that has two: {put_off:?}");
    assert!(put_off.metadata().get("retry-after").is_some());

    // A stream outlives the look at its key, but not the key.
    let writer = admin.key(json!({ "name": "writer", "rights": ["read", "write"] })).await;
    let (sender, receiver) = futures::channel::mpsc::channel(4);
    let mut stream = IngestServiceClient::new(channel.clone());
    let mut outcomes = stream.ingest(by(&writer.token, receiver)).await.unwrap().into_inner();
    admin.delete(&format!("/v1/keys/{}", writer.id())).await.good();
    let ended = outcomes.message().await.unwrap_err();
    assert_ne!(ended.code(), Code::DeadlineExceeded, "its key ended it, not its silence: {ended:?}");
    drop(sender);
    let refused = search(&channel, &writer.token, "x").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn everybody_may_ask_what_is_here_and_whether_it_lives() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let (mut server, _) = secured(&[OPEN]).await;
    let channel = connect(&mut server).await;
    let mut health = HealthClient::new(channel.clone());
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let answer = health.check(ask("wellspring.v1.SearchService")).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    assert_eq!(health.check(ask("another")).await.unwrap_err().code(), Code::NotFound);

    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["SearchService", "AnswerService", "IngestService"] {
        assert!(names.contains(&format!("wellspring.v1.{name}").as_str()), "{names:?}");
    }

    // The end is told, so that an open watch does not hold the shutdown up.
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    server.terminate();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
}

#[test]
fn an_open_address_without_authentication_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .arg("--data")
        .arg(data.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("WELLSPRING__GRPC__LISTEN", "0.0.0.0:0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no authentication"), "{said}");
}
