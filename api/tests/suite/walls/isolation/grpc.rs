//! The same hostile requests through gRPC: every method, filled with other tenants' ids.

use fastrand::Rng;
use tonic::transport::Channel;

use super::{Others, Tenant, filter, hostile, number, settle};
use crate::grpc::v1::answer_service_client::AnswerServiceClient;
use crate::grpc::v1::ingest_request::Part;
use crate::grpc::v1::ingest_service_client::IngestServiceClient;
use crate::grpc::v1::search_service_client::SearchServiceClient;
use crate::grpc::{OPEN, by, connect, v1};
use crate::walls::visitor::{UNLIMITED, Visitor, secured};

/// Sends one request and gives back everything that came, as text, and whether it was let in.
async fn attack(
    channel: &Channel,
    rng: &mut Rng,
    tenants: &[Tenant],
    who: usize,
    token: &str,
) -> (String, bool) {
    let others = &Others { tenants, own: who };
    let collection = if rng.u8(..4) == 0 { hostile(rng, others) } else { String::new() };
    let filter = if rng.bool() { filter(rng, others) } else { String::new() };
    let words = match rng.bool() {
        true => "what is the confidential plan called".to_owned(),
        false => hostile(rng, others),
    };
    let mode = i32::from(rng.u8(..5));
    match rng.u8(..4) {
        0 => {
            let request = v1::SearchRequest { collection, query: words, k: 50, mode, filter };
            let answer = SearchServiceClient::new(channel.clone()).search(by(token, request)).await;
            (format!("{answer:?}"), answer.is_ok())
        }
        1 => {
            let request =
                v1::AnswerRequest { collection, question: words, mode, filter, ..Default::default() };
            let answer = AnswerServiceClient::new(channel.clone()).answer(by(token, request)).await;
            let mut said = format!("{:?}", answer.as_ref().map(|answer| answer.metadata()));
            let good = answer.is_ok();
            if let Ok(answer) = answer {
                let mut events = answer.into_inner();
                loop {
                    let event = events.message().await;
                    said.push_str(&format!("{event:?}"));
                    if !matches!(event, Ok(Some(_))) {
                        break;
                    }
                }
            }
            (said, good)
        }
        2 => {
            let request = v1::WatchJobRequest { job: hostile(rng, others) };
            let mut client = IngestServiceClient::new(channel.clone());
            let answer = client.watch_job(by(token, request)).await;
            let mut said = format!("{:?}", answer.as_ref().map(|answer| answer.metadata()));
            let good = answer.is_ok();
            if let Ok(answer) = answer {
                said.push_str(&format!("{:?}", answer.into_inner().message().await));
            }
            (said, good)
        }
        _ => {
            let head = v1::DocumentHead { collection, id: hostile(rng, others), ..Default::default() };
            let parts = [Part::Head(head), Part::Chunk(words.into_bytes())];
            let parts = parts.map(|part| v1::IngestRequest { part: Some(part) });
            let mut client = IngestServiceClient::new(channel.clone());
            let answer = client.ingest(by(token, futures::stream::iter(parts))).await;
            let good = answer.is_ok();
            let said = match answer {
                Ok(answer) => format!("{:?}", answer.into_inner().message().await),
                Err(status) => format!("{status:?}"),
            };
            (said, good)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_tenant_reaches_another_through_grpc() {
    let mut settings = UNLIMITED.to_vec();
    settings.push(OPEN);
    let (mut server, first) = secured(&settings).await;
    let channel = connect(&mut server).await;
    let operator = Visitor::new(&server, first);
    let mut tenants = Vec::new();
    for index in 0..number("WELLSPRING_ISOLATION_TENANTS", 3) {
        tenants.push(settle(&server, &operator, index).await);
    }
    // A tenth of the requests over HTTP.
    let requests = number("WELLSPRING_ISOLATION_REQUESTS", 3_000) / 10;
    let mut rng = Rng::with_seed(number("WELLSPRING_ISOLATION_SEED", 7) as u64);
    let mut let_in = 0;
    for _ in 0..requests {
        let who = rng.usize(..tenants.len());
        let stranger = rng.bool();
        let token = if stranger { &tenants[who].stranger } else { &tenants[who].admin };
        let (said, good) = attack(&channel, &mut rng, &tenants, who, token).await;
        let_in += usize::from(good);
        assert!(!said.contains("code: Internal") && !said.contains("code: Unknown"), "{said}");
        for (index, tenant) in tenants.iter().enumerate() {
            assert!(
                index == who || !said.contains(&tenant.canary),
                "{who} sees the secret of {index}: {said}"
            );
            let own = index == who && !stranger;
            assert!(own || !said.contains(&tenant.private), "{who} sees a private secret of {index}: {said}");
        }
    }
    println!("{requests} requests through gRPC, {let_in} let in, 0 foreign bytes");
    assert!(let_in > requests / 4, "too little was let in to mean anything");
}
