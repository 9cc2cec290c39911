//! A thousand answers over real articles: half quoted, half by a model that lies in known proportions (`tests/suite/trial`).

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use wellspring_models::{Embedder, ModelsConfig, Registry};

use crate::Outcome;
use crate::support::World;
use crate::trial::{self, Documents};

/// Answers of each half.
const EACH: usize = 500;

pub(crate) async fn measure(datasets: &Path) -> Outcome {
    let path = datasets.join("../documents/html-extraction/ground-truth.json");
    let articles: Value = serde_json::from_str(&fs_err::read_to_string(path)?)?;
    let mut documents: Documents = Vec::new();
    for (id, article) in articles.as_object().ok_or("the articles are no object")? {
        let body = article["articleBody"].as_str().unwrap_or_default();
        // Every line is a paragraph, and so a passage, of its own.
        let paragraphs: Vec<&str> = body.lines().map(str::trim).filter(|line| line.len() > 40).collect();
        if !paragraphs.is_empty() {
            documents.push((id.clone(), paragraphs.join("\n\n")));
        }
    }
    documents.sort();
    let model = Registry::new(ModelsConfig::default())?.embedder("default").await?;
    let name = model.info().name.clone();
    let world = World::with_embedder(&name, model as Arc<dyn Embedder>).await;
    let each = std::env::var("ANSWERS").ok().and_then(|each| each.parse().ok()).unwrap_or(EACH);
    let tally = trial::run(&world, &documents, each, Some(name)).await;
    println!("{} documents, {} answers, {} of them refusals", documents.len(), tally.answers, tally.refused);
    println!(
        "{} citations: {} not byte for byte the stored text, {} of forbidden documents, {} of documents deleted meanwhile ({} deletions)",
        tally.citations, tally.inexact, tally.forbidden, tally.deleted, tally.deletions
    );
    for (kind, (made, kept, wrong)) in &tally.kinds {
        println!(
            "{kind:?}: {made} sentences, {kept} kept, {wrong} wrongly kept or dropped ({:.3})",
            *wrong as f64 / *made as f64
        );
    }
    Ok(())
}
