//! What `--explain` prints: where each hit came from, drawn, and how the search went.

use wellspring_retrieve::{Explain, Fusion, HitExplain, Normalization, Passage, Timings};

/// Characters of a full bar.
const WIDTH: f32 = 16.0;

/// The best score of each kind among the hits that are shown: what a full bar stands for.
#[derive(Debug, Default)]
pub(super) struct Best {
    dense: f32,
    keyword: f32,
    fused: f32,
}

impl Best {
    pub(super) fn of(hits: &[Passage]) -> Self {
        let mut best = Self::default();
        for explain in hits.iter().filter_map(|hit| hit.explain.as_ref()) {
            let dense = explain.dense.as_ref().and_then(|leg| leg.score);
            let keyword = explain.keyword.as_ref().and_then(|leg| leg.score);
            best.dense = best.dense.max(dense.unwrap_or(0.0));
            best.keyword = best.keyword.max(keyword.unwrap_or(0.0));
            best.fused = best.fused.max(explain.fused);
        }
        best
    }
}

/// A bar as long as `score`'s share of `best`, in eighths of a character; empty for what is not above 0.
fn bar(score: f32, best: f32) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if best > 0.0 { (score / best).clamp(0.0, 1.0) } else { 0.0 };
    // At most 8 · WIDTH, and never negative.
    let eighths = (share * WIDTH * 8.0).round() as usize;
    let drawn = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    format!("{drawn:<width$}", width = WIDTH as usize)
}

/// Where a hit came from.
pub(super) fn hit(explain: &HitExplain, best: &Best) -> Vec<String> {
    let fused = bar(explain.fused, best.fused);
    let mut lines =
        vec![format!("{:<8} {fused} rank {}, score {:.4}", "fused", explain.fused_rank, explain.fused)];
    let legs = [("dense", &explain.dense, best.dense), ("keyword", &explain.keyword, best.keyword)];
    for (name, leg, best) in legs {
        let Some(leg) = leg else { continue };
        let rank = leg.rank.map_or_else(|| "not listed".to_owned(), |rank| format!("rank {rank}"));
        let score = leg.score.map(|score| format!(", score {score:.4}")).unwrap_or_default();
        let normalized = leg.normalized.map(|n| format!(", normalised {n:+.3}")).unwrap_or_default();
        lines.push(format!("{name:<8} {} {rank}{score}{normalized}", bar(leg.score.unwrap_or(0.0), best)));
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
pub(super) fn search(explain: &Explain, timings: &Timings) -> Vec<String> {
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
        lines.push(format!("{:<8} weight {:.2}: {}", one.by, one.weight, super::excerpt(&one.text, 200)));
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

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_show_shares() {
        assert_eq!(bar(2.0, 2.0), "█".repeat(16));
        assert_eq!(bar(1.0, 2.0), format!("{}{}", "█".repeat(8), " ".repeat(8)));
        assert_eq!(bar(0.05, 2.0).trim_end(), "▍");
        for (score, best) in [(-1.0, 2.0), (0.0, 0.0), (f32::NAN, 1.0)] {
            assert_eq!(bar(score, best), " ".repeat(16));
        }
    }
}
