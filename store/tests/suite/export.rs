//! Exports: whole documents, of one version each, as their reader may see them.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json};
use wellspring_store::export::{ExportOptions, export};
use wellspring_store::{CollectionScope, Collections, DocumentId, ErrorKind, Scope, Store, TenantId};

use crate::world;

async fn lines(store: &Store, scope: &CollectionScope, options: ExportOptions) -> Vec<Value> {
    let mut pieces = std::pin::pin!(export(Arc::clone(&store.catalog), scope.clone(), options));
    let mut lines = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = String::from_utf8(piece.unwrap()).unwrap();
        assert!(piece.ends_with('\n'), "whole lines");
        lines.extend(piece.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_visible_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = world::open(folder.path()).await;
    let scope = world::collection(&store, "docs").await;
    world::fill(&store, &scope).await;
    // Accepted and stored, but not shown yet.
    world::stored(&store, &scope, "to-come", &["soon".to_owned()]).await;
    let options = ExportOptions { chunks: true, vectors: true, filter: None };
    let all = lines(&store, &scope, options).await;
    let kinds = |kind: &str| all.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((all[0]["name"].as_str(), all[0]["format"].as_u64()), (Some("docs"), Some(1)));
    // Eight of three passages, three of two; `doc-11` was deleted.
    assert_eq!((kinds("document"), kinds("chunk")), (11, 30));
    assert_eq!(*all.last().unwrap(), json!({ "type": "end", "documents": 11, "chunks": 30 }));
    assert!(!all.iter().any(|line| line.to_string().contains("doc-11")));
    for chunk in all.iter().filter(|line| line["type"] == "chunk") {
        let text = chunk["text"].as_str().unwrap();
        let vector: Vec<f32> = serde_json::from_value(chunk["vector"].clone()).unwrap();
        assert_eq!(vector, world::embed(text), "to the last bit");
        let document = all.iter().find(|line| line["id"] == chunk["document_id"]).unwrap();
        assert_eq!(document["version"], chunk["version"]);
    }
    let alone = lines(&store, &scope, ExportOptions::default()).await;
    assert_eq!(alone.len(), 13);
    assert!(alone[1]["text"].as_str().unwrap().contains("pump"));
    world::close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_list_holds_while_it_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let store = world::open(folder.path()).await;
    let scope = world::collection(&store, "docs").await;
    for id in ["a", "b", "c"] {
        world::add(&store, &scope, id, &["a passage"]).await;
    }
    let id = |id: &str| DocumentId::new(id).unwrap();
    let only = |principal: &str| Some(vec![principal.to_owned()]);
    store.catalog.set_acl(&scope, &id("a"), only("user:bob")).await.unwrap();
    let ada = Scope::restricted(
        TenantId::default_tenant(),
        BTreeSet::from(["user:ada".to_owned()]),
        Collections::All,
    );
    let (hers, _) = store.catalog.collection(&ada, &world::name("docs")).await.unwrap();
    let mut pieces = std::pin::pin!(export(Arc::clone(&store.catalog), hers, ExportOptions::default()));
    pieces.next().await.unwrap().unwrap();
    let first = String::from_utf8(pieces.next().await.unwrap().unwrap()).unwrap();
    assert!(first.contains(r#""id":"b""#), "{first}");
    // Listed already, and taken from her before its turn came.
    store.catalog.set_acl(&scope, &id("c"), only("user:bob")).await.unwrap();
    let last = String::from_utf8(pieces.next().await.unwrap().unwrap()).unwrap();
    assert!(last.contains(r#""type":"end","documents":1"#), "{last}");
    assert!(pieces.next().await.is_none());

    store.catalog.delete_collection(&scope).await.unwrap();
    let mut pieces = std::pin::pin!(export(Arc::clone(&store.catalog), scope, ExportOptions::default()));
    assert_eq!(pieces.next().await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    drop(store);
}
