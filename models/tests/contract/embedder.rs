//! What every `Embedder` must do.

use futures::FutureExt;
use wellspring_models::{Embedder, Embedding, TextKind};

/// Runs the whole contract against one implementation.
pub(crate) async fn keeps_contract(embedder: &dyn Embedder) {
    an_empty_call_is_empty(embedder).await;
    vectors_are_unit_and_of_the_promised_dimension(embedder).await;
    order_is_kept_and_company_does_not_matter(embedder).await;
    tokens_agree_with_the_counter(embedder).await;
    truncation_is_reported(embedder).await;
    a_dropped_call_leaves_it_usable(embedder).await;
    concurrent_calls_agree(embedder).await;
    tokens_have_places_and_unit_vectors(embedder).await;
}

const TEXTS: [&str; 6] = [
    "A man is eating food.",
    "",
    "  \n",
    "Die Sitzung wurde auf Dienstag verschoben.",
    "会議は火曜日に延期されました。",
    "error E-4711 in v2.3.1",
];

async fn embed(embedder: &dyn Embedder, kind: TextKind, texts: &[&str]) -> Vec<Embedding> {
    embedder.embed(kind, texts).await.unwrap()
}

async fn an_empty_call_is_empty(embedder: &dyn Embedder) {
    assert!(embed(embedder, TextKind::Query, &[]).await.is_empty());
}

async fn vectors_are_unit_and_of_the_promised_dimension(embedder: &dyn Embedder) {
    for kind in [TextKind::Query, TextKind::Passage] {
        for embedding in embed(embedder, kind, &TEXTS).await {
            assert_eq!(embedding.vector.len(), embedder.info().dimension);
            assert!(embedding.vector.iter().all(|x| x.is_finite()));
            let norm: f32 = embedding.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((norm - 1.0).abs() < 1e-5, "{norm}");
        }
    }
}

async fn order_is_kept_and_company_does_not_matter(embedder: &dyn Embedder) {
    let together = embed(embedder, TextKind::Passage, &TEXTS).await;
    assert_eq!(together.len(), TEXTS.len());
    let mut reversed = TEXTS;
    reversed.reverse();
    let mut backwards = embed(embedder, TextKind::Passage, &reversed).await;
    backwards.reverse();
    assert_eq!(together, backwards);
    for (text, embedding) in TEXTS.iter().zip(&together) {
        assert_eq!(&embed(embedder, TextKind::Passage, &[text]).await[0], embedding, "{text:?}");
    }
    assert_ne!(together[0].vector, together[3].vector);
}

async fn tokens_agree_with_the_counter(embedder: &dyn Embedder) {
    let counter = embedder.counter();
    for (text, embedding) in [TEXTS[0], TEXTS[3], TEXTS[5]]
        .iter()
        .zip(embed(embedder, TextKind::Passage, &[TEXTS[0], TEXTS[3], TEXTS[5]]).await)
    {
        assert_eq!((embedding.tokens, embedding.truncated), (counter.count(text), 0), "{text}");
    }
}

async fn truncation_is_reported(embedder: &dyn Embedder) {
    let max = embedder.info().max_tokens;
    let long = "word ".repeat(max + 50);
    let all = embedder.counter().count(&long);
    let found = &embed(embedder, TextKind::Passage, &[&long]).await[0];
    assert_eq!((found.tokens, found.truncated), (max, all - max));
    // What was cut has no say.
    let longer = format!("{long}{}", "other ".repeat(50));
    assert_eq!(embed(embedder, TextKind::Passage, &[&longer]).await[0].vector, found.vector);
}

async fn a_dropped_call_leaves_it_usable(embedder: &dyn Embedder) {
    let many = vec!["some text"; 64];
    {
        let call = embedder.embed(TextKind::Passage, &many);
        futures::pin_mut!(call);
        drop(call.as_mut().now_or_never());
    }
    assert_eq!(embed(embedder, TextKind::Passage, &many[..2]).await.len(), 2);
}

async fn concurrent_calls_agree(embedder: &dyn Embedder) {
    let calls = (0..4).map(|_| embed(embedder, TextKind::Query, &TEXTS));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

async fn tokens_have_places_and_unit_vectors(embedder: &dyn Embedder) {
    let Some(tokens) = embedder.tokens() else { return };
    assert!(tokens.embed_tokens(&[]).await.unwrap().is_empty());
    let all = tokens.embed_tokens(&TEXTS).await.unwrap();
    assert_eq!(all.len(), TEXTS.len());
    for (text, found) in TEXTS.iter().zip(&all) {
        assert_eq!(found.vectors.len(), found.spans.len() * found.dimension, "{text:?}");
        assert_eq!(found.norms.len(), found.spans.len(), "{text:?}");
        assert_eq!(found.spans.is_empty(), text.trim().is_empty(), "{text:?}");
        let mut end = 0;
        for (index, span) in found.spans.iter().enumerate() {
            assert!(span.start >= end && !text[span.clone()].trim().is_empty(), "{text:?} {span:?}");
            end = span.end;
            let norm: f32 = found.vector(index).iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((norm - 1.0).abs() < 1e-5, "{norm}");
        }
        assert_eq!(&tokens.embed_tokens(&[text]).await.unwrap()[0], found, "company makes no difference");
    }
    let max = embedder.info().max_tokens;
    let long = "word ".repeat(max + 50);
    assert!(tokens.embed_tokens(&[&long]).await.unwrap()[0].spans.len() <= max);
}
