//! Late chunking and semantic boundaries from submission to stored vectors.
use crate::pipeline_rig::{Rig, paragraph};
use bytes::Bytes;
use wellspring_ingest::chunk::{Boundaries, ChunkConfig, Pooling};
use wellspring_ingest::{CollectionSettings, Content, JobReport, Submission};
use wellspring_models::fake::HashEmbedder;
use wellspring_models::{Embedder, TextKind};
use wellspring_store::jobs::JobState;
use wellspring_store::{CollectionName, CollectionScope, DocumentId, NewCollection};

async fn collection(rig: &Rig, name: &str, chunk: ChunkConfig) -> CollectionScope {
    let name = CollectionName::new(name).unwrap();
    let info = rig.gate.info();
    let new = NewCollection {
        name: name.clone(),
        model: info.name.clone(),
        fingerprint: info.fingerprint.0.clone(),
        dimension: info.dimension,
        settings: CollectionSettings { chunk }.to_value().unwrap(),
    };
    rig.store.catalog.create_collection(&rig.tenant, new).await.unwrap();
    rig.store.catalog.collection(&rig.tenant, &name).await.unwrap().0
}

async fn add(rig: &Rig, scope: &CollectionScope, text: &str) -> JobReport {
    let job = rig.ingestor.submit(scope, Rig::markdown("guide", text), None).await.unwrap().job;
    let job = rig.wait(job).await;
    assert_eq!(job.state, JobState::Indexed);
    serde_json::from_value(job.report).unwrap()
}

fn small() -> ChunkConfig {
    ChunkConfig {
        target_tokens: 40,
        max_tokens: Some(60),
        min_tokens: 8,
        overlap_tokens: 0,
        headings: false,
        title: false,
        ..ChunkConfig::default()
    }
}

/// The fake model's tokens know nothing of their neighbours, so that what is pooled from a window must be the vector of the
/// chunk's own words: any other word would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_vectors_are_made_of_the_chunks_own_tokens() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(2);
    let scope = collection(&rig, "late", ChunkConfig { pooling: Pooling::Late, ..small() }).await;
    let text = format!("# A\n\n{}\n\n# B\n\n{}\n", paragraph("walrus", 30), paragraph("penguin", 4));
    let report = add(&rig, &scope, &text).await;
    assert!(report.chunks > 6 && report.embedded == report.chunks && report.truncated == 0, "{report:?}");
    let id = DocumentId::new("guide").unwrap();
    let chunks = rig.store.catalog.chunks(&scope, &id).await.unwrap();
    let index = rig.store.indexes.vector(&scope).await.unwrap();
    for chunk in &chunks {
        let kept = index.vector(chunk.key).await.unwrap().unwrap();
        let own = HashEmbedder::default().embed(TextKind::Passage, &[&chunk.text]).await.unwrap().remove(0);
        let near: f32 = kept.iter().zip(&own.vector).map(|(a, b)| a * b).sum();
        // The index keeps eight bits of each component.
        assert!(near > 0.999, "{near} {:?}", chunk.text);
    }
    // What is read elsewhere in the section decides a vector, and what is read in another does not.
    let again = add(&rig, &scope, &text.replace("penguin number 0", "penguin number nought")).await;
    assert!(again.embedded > 0 && again.embedded <= 3, "{again:?}");
    assert_eq!(again.chunks, report.chunks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_a_semantic_collection_end_their_chunks_where_the_subject_changes() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(2);
    let semantic = ChunkConfig { boundaries: Boundaries::Semantic, ..small() };
    let scope = collection(&rig, "semantic", semantic).await;
    let text = format!(
        "# A\n\n{} {}",
        "Walruses swim under ice all winter and sleep on ice all summer. ".repeat(4).trim_end(),
        "Companies owe taxes each spring, unless auditors agree otherwise in writing. ".repeat(7).trim_end()
    );
    let before = rig.gate.calls().texts();
    let report = add(&rig, &scope, &text).await;
    assert!(rig.gate.calls().texts() - before > report.embedded, "sentences are embedded, too");
    let id = DocumentId::new("guide").unwrap();
    let chunks = rig.store.catalog.chunks(&scope, &id).await.unwrap();
    assert!(chunks.len() > 1);
    for chunk in &chunks {
        assert!(!(chunk.text.contains("Walruses") && chunk.text.contains("taxes")), "{:?}", chunk.text);
    }
}

/// The stored text of a web page has no targets, so each chunk keeps those of the links that stand in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_a_web_page_know_where_its_links_lead() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(1);
    let scope = collection(&rig, "pages", small()).await;
    let part = |heading: &str, link: &str| {
        let words = paragraph(heading, 6);
        format!(
            "<h2>{heading}</h2><p>{words}</p><p>See <a href='{link}'>the {heading} page</a> and <a href='{link}'>once more</a>.</p>"
        )
    };
    let page = format!(
        "<html><body><h1>All</h1>{}{}</body></html>",
        part("walrus", "sea/walrus.html"),
        part("penguin", "/ice.html")
    );
    let content = Content::Bytes(Bytes::from(page.into_bytes()));
    let page = Submission::new(DocumentId::new("all").unwrap(), "all.html".to_owned(), content);
    let job = rig.ingestor.submit(&scope, page, None).await.unwrap().job;
    assert_eq!(rig.wait(job).await.state, JobState::Indexed);
    let chunks = rig.store.catalog.chunks(&scope, &DocumentId::new("all").unwrap()).await.unwrap();
    let linked: Vec<_> = chunks.iter().filter(|chunk| !chunk.links.is_empty()).collect();
    assert!(linked.len() >= 2 && linked.len() < chunks.len(), "{chunks:?}");
    for chunk in linked {
        let expected = if chunk.text.contains("walrus") { "sea/walrus.html" } else { "/ice.html" };
        assert_eq!(chunk.links, [expected], "{}", chunk.text);
    }
}
