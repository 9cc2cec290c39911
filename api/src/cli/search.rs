//! `wellspring search`: passages for a query.

use clap::{Args, ValueEnum};
use wellspring_retrieve::{Explain, Fusion, HitExplain, Mode, Normalization, SearchRequest, Timings};
use wellspring_store::Filter;

use super::InCollection;
use crate::app::App;
use crate::output::{Outcome, Printer, note};

/// Find passages
#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    collection: InCollection,
    /// Passages wanted (1-1000)
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// How to search
    #[arg(long, value_enum, default_value_t = ModeFlag::Hybrid)]
    mode: ModeFlag,
    /// Only documents whose metadata passes, e.g. 'year >= 2024 and lang = "de"'
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Show where each hit came from and what each stage took
    #[arg(long)]
    explain: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What to look for
    query: String,
}

/// How to search, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeFlag {
    /// Vectors and words, fused
    Hybrid,
    /// Vectors only
    Dense,
    /// Words only
    Keyword,
}

impl From<ModeFlag> for Mode {
    fn from(mode: ModeFlag) -> Self {
        match mode {
            ModeFlag::Hybrid => Self::Hybrid,
            ModeFlag::Dense => Self::Dense,
            ModeFlag::Keyword => Self::Keyword,
        }
    }
}

impl Search {
    /// Prints the passages; `No` if there are none.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = self.collection.open(&app).await?;
        let request = SearchRequest {
            k: self.k,
            mode: self.mode.into(),
            filter: self.filter.as_deref().map(Filter::parse).transpose()?,
            explain: self.explain,
            ..SearchRequest::new(self.query)
        };
        let response = app.retriever.search(&scope, request).await?;
        printer.document(&response)?;
        for degraded in &response.degraded {
            note(format_args!("warning: the {} leg is missing: {}", degraded.leg, degraded.reason));
        }
        if let Some(meant) = &response.did_you_mean {
            note(format_args!("did you mean: {meant}"));
        }
        for (rank, hit) in response.hits.iter().enumerate() {
            let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
            let title = hit.title.as_deref().unwrap_or(&hit.source);
            printer.line(format_args!("\u{1b}[1m{}. {title}\u{1b}[0m  {:.3}", rank + 1, hit.score))?;
            printer.line(format_args!(
                "   \u{1b}[2m{}{page}, bytes {}-{}\u{1b}[0m",
                hit.source, hit.start, hit.end
            ))?;
            printer.line(format_args!("   {}", excerpt(&hit.text, 300)))?;
            if let Some(explain) = &hit.explain {
                for line in explain_hit(explain) {
                    printer.line(format_args!("   \u{1b}[36m{line}\u{1b}[0m"))?;
                }
            }
            printer.line("")?;
        }
        if let Some(explain) = &response.explain {
            for line in explain_search(explain, &response.timings) {
                printer.line(format_args!("\u{1b}[36m{line}\u{1b}[0m"))?;
            }
        }
        if response.hits.is_empty() {
            note("nothing found");
            return Ok(Outcome::No);
        }
        Ok(Outcome::Good)
    }
}

/// Where a hit came from.
fn explain_hit(explain: &HitExplain) -> Vec<String> {
    let mut lines = vec![format!("fused rank {} with {:.4}", explain.fused_rank, explain.fused)];
    for (name, leg) in [("dense", &explain.dense), ("keyword", &explain.keyword)] {
        let Some(leg) = leg else { continue };
        let rank = leg.rank.map_or_else(|| "not listed".to_owned(), |rank| format!("rank {rank}"));
        let score = leg.score.map(|score| format!(", score {score:.4}")).unwrap_or_default();
        let normalized = leg.normalized.map(|n| format!(", normalised {n:+.3}")).unwrap_or_default();
        lines.push(format!("{name:<8} {rank}{score}{normalized}"));
    }
    for (name, value) in [("late", explain.late), ("nearness", explain.proximity)] {
        if let Some(value) = value {
            lines.push(format!("{name:<8} {value:.4}"));
        }
    }
    for link in &explain.links {
        let from = link.from.as_ref().map_or("the query", |chunk| chunk.0.as_str());
        let joined = if link.joined { ", not listed otherwise" } else { "" };
        lines.push(format!("link     {:+.4} from {from} through \"{}\"{joined}", link.added, link.name));
    }
    for boost in &explain.boosts {
        lines.push(format!(
            "boost    {:+.4} by {} ({:.2} of its weight)",
            boost.added, boost.field, boost.share
        ));
    }
    if let Some(score) = explain.rerank {
        let relevance =
            explain.relevance.map(|relevance| format!(", relevance {relevance:.3}")).unwrap_or_default();
        lines.push(format!("rerank   {score:.4}{relevance}"));
    }
    lines
}

/// How the legs were fused, in words.
fn fusion(fusion: Fusion) -> String {
    match fusion {
        Fusion::Convex { weight, normalization } => {
            let scores = match normalization {
                Normalization::ZScore => "z-scores",
                Normalization::MinMax => "min-max scores",
                Normalization::TheoreticalMinMax => "theoretical min-max scores",
                Normalization::Distribution => "distribution-based scores",
            };
            format!("{scores} with dense weight {weight:.2}")
        }
        Fusion::Rrf { k, weight } => format!("reciprocal ranks with k {k} and dense weight {weight:.2}"),
    }
}

/// How the search went.
fn explain_search(explain: &Explain, timings: &Timings) -> Vec<String> {
    let candidates =
        explain.candidates.map_or_else(|| "all chunks".to_owned(), |n| format!("{n} chunks pass"));
    let mut lines = vec![format!(
        "{} search, {}, depth {} in {} rounds, {candidates}, {} fused",
        explain.mode,
        fusion(explain.fusion),
        explain.depth,
        explain.rounds,
        explain.fused
    )];
    if let Some(trust) = explain.trust {
        lines.push(format!("the collection's own documents gave the vectors {trust:.2} of their weight"));
    }
    if let Some(index) = &explain.vector_index {
        lines.push(format!("vector index {} ({}): {}", index.engine, index.quantization, index.reason));
    }
    for one in &explain.expanded {
        lines.push(format!("{:<8} weight {:.2}: {}", one.by, one.weight, excerpt(&one.text, 200)));
    }
    for leg in &explain.legs {
        lines.push(format!(
            "{:<8} {} hits, mean {:.4}, deviation {:.4}",
            leg.leg, leg.hits, leg.mean, leg.deviation
        ));
    }
    for (reason, count) in &explain.dropped {
        lines.push(format!("left out {count}: {reason}"));
    }
    let times: Vec<String> = timings.0.iter().map(|(stage, ms)| format!("{stage} {ms:.1}")).collect();
    lines.push(format!("ms: {}", times.join(", ")));
    lines
}

/// At most `limit` characters on one line.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(limit) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn excerpts_are_cut_between_characters() {
        assert_eq!(excerpt("Grüße\n  aus  Köln", 7), "Grüße a…");
        assert_eq!(excerpt("kurz", 7), "kurz");
    }
}
