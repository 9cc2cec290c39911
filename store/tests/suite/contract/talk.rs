//! The rules that every keeper of conversations and runs keeps, as functions over the traits.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use wellspring_store::conversations::{Conversations, NewTurn, Owner};
use wellspring_store::runs::{NewRun, RunState, Runs};
use wellspring_store::*;

use super::fixture::{Fixture, kind, tenant};

/// What a rule is tried on.
pub(crate) struct Talk<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) conversations: &'a dyn Conversations,
    pub(crate) runs: &'a dyn Runs,
}

fn owner(key: Option<&str>) -> Owner {
    Owner { tenant: TenantId::default_tenant(), key: key.map(str::to_owned) }
}

fn turn(question: &str) -> NewTurn {
    NewTurn { question: question.to_owned(), standalone: None, answer: json!({ "of": question }) }
}

pub(crate) async fn a_conversation_is_kept_turn_by_turn(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let ada = owner(Some("ada"));
    let made = t.conversations.create_conversation(&ada, &docs, Some("Leave".to_owned()), 5).await.unwrap();
    assert_eq!((made.turns, made.collection.as_str(), made.title.as_deref()), (0, "docs", Some("Leave")));
    t.fixture.clock.advance(Duration::from_secs(1));
    for (number, question) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(t.conversations.add_turn(&ada, made.id, turn(question), 3).await.unwrap(), number);
    }
    assert_eq!(kind(t.conversations.add_turn(&ada, made.id, turn("four"), 3).await), ErrorKind::RateLimited);
    let turns = t.conversations.turns(&ada, made.id, 2).await.unwrap();
    let told: Vec<_> = turns.iter().map(|turn| (turn.number, turn.turn.question.as_str())).collect();
    assert_eq!(told, [(2, "two"), (3, "three")]);
    t.conversations.replace_answer(&ada, made.id, 2, json!("less")).await.unwrap();
    assert_eq!(t.conversations.turns(&ada, made.id, 2).await.unwrap()[0].turn.answer, json!("less"));
    assert_eq!(kind(t.conversations.replace_answer(&ada, made.id, 9, json!(1)).await), ErrorKind::NotFound);
    let now = t.conversations.conversation(&ada, made.id).await.unwrap();
    assert_eq!((now.turns, now.updated_at > made.updated_at), (3, true));
}

pub(crate) async fn conversations_are_their_owners_alone(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let (ada, bob, nobody) = (owner(Some("ada")), owner(Some("bob")), owner(None));
    let hers = t.conversations.create_conversation(&ada, &docs, None, 5).await.unwrap();
    let elsewhere = Owner { tenant: tenant("other"), key: Some("ada".to_owned()) };
    for other in [&bob, &nobody, &elsewhere] {
        assert_eq!(kind(t.conversations.conversation(other, hers.id).await), ErrorKind::NotFound);
        assert_eq!(kind(t.conversations.turns(other, hers.id, 5).await), ErrorKind::NotFound);
        assert_eq!(kind(t.conversations.add_turn(other, hers.id, turn("x"), 5).await), ErrorKind::NotFound);
        assert_eq!(
            kind(t.conversations.replace_answer(other, hers.id, 1, json!(1)).await),
            ErrorKind::NotFound
        );
        assert_eq!(kind(t.conversations.delete_conversation(other, hers.id).await), ErrorKind::NotFound);
        assert!(t.conversations.conversations(other, None, 5).await.unwrap().items.is_empty());
    }
    t.conversations.conversation(&ada, hers.id).await.unwrap();
}

pub(crate) async fn conversations_are_listed_newest_first_and_bounded(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let ada = owner(Some("ada"));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(t.conversations.create_conversation(&ada, &docs, None, 3).await.unwrap().id);
    }
    let more = t.conversations.create_conversation(&ada, &docs, None, 3).await;
    assert_eq!(kind(more), ErrorKind::RateLimited);
    made.reverse();
    let first = t.conversations.conversations(&ada, None, 2).await.unwrap();
    assert_eq!(first.items.iter().map(|one| one.id).collect::<Vec<_>>(), made[..2]);
    let rest = t.conversations.conversations(&ada, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((rest.items[0].id, rest.items.len(), rest.next), (made[2], 1, None));
    assert_eq!(kind(t.conversations.conversations(&ada, Some("x"), 2).await), ErrorKind::Invalid);
}

pub(crate) async fn deleting_takes_turns_and_runs_along(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let ada = owner(Some("ada"));
    let one = t.conversations.create_conversation(&ada, &docs, None, 5).await.unwrap().id;
    let other = t.conversations.create_conversation(&ada, &docs, None, 5).await.unwrap().id;
    t.conversations.add_turn(&ada, one, turn("x"), 5).await.unwrap();
    let run = |conversation| NewRun {
        id: Uuid::now_v7(),
        conversation: Some(conversation),
        body: json!({}),
        seconds: 60,
    };
    let (of_one, of_other) = (run(one), run(other));
    t.runs.keep_run(&ada, &docs, of_one.clone()).await.unwrap();
    t.runs.keep_run(&ada, &docs, of_other.clone()).await.unwrap();
    t.conversations.delete_conversation(&ada, one).await.unwrap();
    assert_eq!(kind(t.conversations.turns(&ada, one, 5).await), ErrorKind::NotFound);
    assert_eq!(kind(t.runs.run(&ada, of_one.id).await), ErrorKind::NotFound);
    t.runs.run(&ada, of_other.id).await.unwrap();
    // And all of it goes with the collection, also if one of the same name is made again.
    t.fixture.catalog.delete_collection(&docs).await.unwrap();
    t.fixture.docs().await;
    assert_eq!(kind(t.conversations.conversation(&ada, other).await), ErrorKind::NotFound);
    assert_eq!(kind(t.runs.run(&ada, of_other.id).await), ErrorKind::NotFound);
    assert_eq!(kind(t.conversations.create_conversation(&ada, &docs, None, 5).await), ErrorKind::NotFound);
}

pub(crate) async fn of_two_decisions_about_a_run_one_counts(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let ada = owner(Some("ada"));
    let new = NewRun { id: Uuid::now_v7(), conversation: None, body: json!({ "v": 1 }), seconds: 60 };
    let kept = t.runs.keep_run(&ada, &docs, new.clone()).await.unwrap();
    assert_eq!((kept.version, kept.state, kept.collection.as_str()), (1, RunState::Waiting, "docs"));
    let decide = |body| t.runs.change_run(&ada, new.id, 1, RunState::Running, body);
    let (first, second) = tokio::join!(decide(json!("first")), decide(json!("second")));
    let won = match (first, second) {
        (Ok(run), Err(error)) | (Err(error), Ok(run)) if error.kind() == ErrorKind::Conflict => run,
        other => panic!("{other:?}"),
    };
    assert_eq!((won.version, won.state), (2, RunState::Running));
    assert_eq!(t.runs.run(&ada, new.id).await.unwrap(), won);
    assert_eq!(kind(t.runs.run(&owner(Some("bob")), new.id).await), ErrorKind::NotFound);
    let stolen = t.runs.change_run(&owner(None), new.id, 2, RunState::Ended, json!(1)).await;
    assert_eq!(kind(stolen), ErrorKind::NotFound);
}

pub(crate) async fn a_run_expires(t: &Talk<'_>) {
    let docs = t.fixture.docs().await;
    let ada = owner(Some("ada"));
    let new = NewRun { id: Uuid::now_v7(), conversation: None, body: json!({}), seconds: 60 };
    t.runs.keep_run(&ada, &docs, new.clone()).await.unwrap();
    t.fixture.clock.advance(Duration::from_secs(59));
    t.runs.run(&ada, new.id).await.unwrap();
    t.fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(t.runs.run(&ada, new.id).await), ErrorKind::NotFound);
    let late = t.runs.change_run(&ada, new.id, 1, RunState::Running, json!({})).await;
    assert_eq!(kind(late), ErrorKind::NotFound);
    // Another run takes its place, and its id is free.
    t.runs.keep_run(&ada, &docs, new).await.unwrap();
}

/// Calls a macro with the name of every rule.
macro_rules! rules {
    ($tests:ident) => {
        $tests! {
            a_conversation_is_kept_turn_by_turn,
            conversations_are_their_owners_alone,
            conversations_are_listed_newest_first_and_bounded,
            deleting_takes_turns_and_runs_along,
            of_two_decisions_about_a_run_one_counts,
            a_run_expires,
        }
    };
}
pub(crate) use rules;
