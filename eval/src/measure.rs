//! What can be measured: the names of measures, as people type them, as reports show them and as JSON keeps them.

use crate::error::{ErrorKind, EvalError, Result};

/// The quantity, before a cut-off and a relevance level are applied to it. All values lie between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `ndcg`: discounted cumulative gain over the ideal one, both cut at k, with linear gain and a discount of
    /// log2(rank + 1) (Järvelin and Kekäläinen, TOIS 20(4), 2002; trec_eval's `ndcg_cut`).
    Ndcg,
    /// `recall`: relevant documents among the first k, over all relevant ones (`recall`).
    Recall,
    /// `p`: relevant documents among the first k, over k, however few were retrieved (`P`).
    Precision,
    /// `mrr`: one over the rank of the first relevant document among the first k, else 0 (`recip_rank`, cut).
    ReciprocalRank,
    /// `map`: mean over all relevant documents of the precision at their ranks, 0 for those not retrieved (`map`,
    /// `map_cut`).
    AveragePrecision,
    /// `hit`: 1 if a relevant document is among the first k, else 0 (`success`).
    Hit,
    /// `judged`: documents with any judgement among the first k, over those (k, or fewer if fewer were retrieved): how far
    /// the other measures can be believed. (`ir_measures` orders ties by ascending id for this one measure only; here
    /// every measure sees the same order.)
    Judged,
    /// `all-recall`: 1 if every relevant document is among the first k, else 0: what a question over several documents
    /// needs. 0 for a query without relevant documents.
    AllRecall,
    /// `bpref`: how seldom judged non-relevant documents stand above relevant ones; unjudged ones play no part (Buckley
    /// and Voorhees, SIGIR 2004, with trec_eval's denominator `min(R, N)`).
    Bpref,
    /// `rprec`: precision at R, the number of relevant documents (`Rprec`).
    RPrecision,
}

use Kind::{
    AllRecall, AveragePrecision, Bpref, Hit, Judged, Ndcg, Precision, RPrecision, Recall, ReciprocalRank,
};

/// Kind, name in JSON, name in `ir_measures`, further names that are understood.
const NAMES: &[(Kind, &str, &str, &[&str])] = &[
    (Ndcg, "ndcg", "nDCG", &[]),
    (Recall, "recall", "R", &[]),
    (Precision, "p", "P", &["precision"]),
    (ReciprocalRank, "mrr", "RR", &[]),
    (AveragePrecision, "map", "AP", &[]),
    (Hit, "hit", "Success", &[]),
    (Judged, "judged", "Judged", &[]),
    (AllRecall, "all-recall", "AllRecall", &[]),
    (Bpref, "bpref", "Bpref", &[]),
    (RPrecision, "rprec", "Rprec", &["r-precision"]),
];

/// One measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Measure {
    /// The quantity.
    pub kind: Kind,
    /// Ranks it looks at, from 1; `None` for the whole ranking.
    pub cut: Option<usize>,
    /// The lowest grade that counts as relevant, from 1 (trec_eval's `-l`). nDCG and judged ignore it.
    pub level: i32,
}

impl Measure {
    /// A measure over the first `k` ranks, relevant from grade 1.
    pub const fn at(kind: Kind, k: usize) -> Self {
        Self { kind, cut: Some(k), level: 1 }
    }

    /// A measure over the whole ranking, relevant from grade 1.
    pub const fn whole(kind: Kind) -> Self {
        Self { kind, cut: None, level: 1 }
    }

    /// The name that `ir_measures` gives it, which reports show: `nDCG@10`, `R@100`, `AP(rel=2)`. `AllRecall@k` is ours:
    /// `ir_measures` has none.
    pub fn ir_name(&self) -> String {
        self.spell(|entry| entry.2)
    }

    fn spell(
        &self,
        pick: impl Fn(&(Kind, &'static str, &'static str, &'static [&'static str])) -> &'static str,
    ) -> String {
        let mut name = NAMES.iter().find(|entry| entry.0 == self.kind).map_or("", pick).to_owned();
        if self.level != 1 {
            name.push_str(&format!("(rel={})", self.level));
        }
        if let Some(k) = self.cut {
            name.push_str(&format!("@{k}"));
        }
        name
    }
}

impl std::fmt::Display for Measure {
    /// The key in JSON: lower case, `ndcg@10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.spell(|entry| entry.1))
    }
}

impl std::str::FromStr for Measure {
    type Err = EvalError;

    /// Understands both spellings, in any case.
    fn from_str(name: &str) -> Result<Self> {
        parse(name).ok_or_else(|| {
            EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "`{name}` is not a measure; there are ndcg@k, recall@k, p@k, mrr@k, map, hit@k, judged@k, \
                     all-recall@k, bpref and rprec, k ≥ 1, those of relevance also with a level: recall(rel=2)@10"
                ),
            )
        })
    }
}

fn parse(name: &str) -> Option<Measure> {
    let lower = name.trim().to_ascii_lowercase();
    let (base, cut) = match lower.split_once('@') {
        Some((base, k)) => (base, Some(k.parse::<usize>().ok().filter(|k| *k > 0)?)),
        None => (lower.as_str(), None),
    };
    let (base, level) = match base.split_once("(rel=") {
        Some((base, level)) => (base, level.strip_suffix(')')?.parse::<i32>().ok().filter(|l| *l > 0)?),
        None => (base, 1),
    };
    let kind = NAMES
        .iter()
        .find(|(_, json, ir, more)| *json == base || ir.to_ascii_lowercase() == base || more.contains(&base))?
        .0;
    let fits = match kind {
        AveragePrecision | ReciprocalRank => true,
        Bpref | RPrecision => cut.is_none(),
        Ndcg | Judged => cut.is_some() && level == 1,
        _ => cut.is_some(),
    };
    fits.then_some(Measure { kind, cut, level })
}

/// The name that reports show for a JSON name. `SpanRecall@k` is ours; other names that are no measure of rankings stay.
pub fn ir_name(name: &str) -> String {
    match (name.parse::<Measure>(), name.strip_prefix("span-recall@")) {
        (Ok(measure), _) => measure.ir_name(),
        (Err(_), Some(k)) => format!("SpanRecall@{k}"),
        (Err(_), None) => name.to_owned(),
    }
}

/// By kind in the order of [`Kind`], then by cut-off; measures over quotes at the end.
pub fn in_reading_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let place = |name: &str| {
        let measure = name.parse::<Measure>().ok();
        let cut = name.rsplit_once('@').and_then(|(_, k)| k.parse::<usize>().ok());
        (measure.is_none(), measure.map(|m| (m.kind, m.level)), cut)
    };
    let mut names: Vec<&String> = names.collect();
    names.sort_by_key(|name| (place(name), (*name).clone()));
    names
}

/// What `eval retrieval` reports unless told otherwise.
pub const DEFAULT_MEASURES: &[Measure] = &[
    Measure::at(Ndcg, 10),
    Measure::at(Recall, 10),
    Measure::at(Recall, 100),
    Measure::at(ReciprocalRank, 10),
    Measure::whole(AveragePrecision),
    Measure::at(Precision, 5),
    Measure::at(Precision, 10),
    Measure::at(Hit, 5),
    Measure::at(AllRecall, 10),
    Measure::whole(Bpref),
    Measure::whole(RPrecision),
    Measure::at(Judged, 10),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_both_spellings() {
        for measure in DEFAULT_MEASURES {
            assert_eq!(measure.to_string().parse::<Measure>().unwrap(), *measure);
            assert_eq!(measure.ir_name().parse::<Measure>().unwrap(), *measure);
        }
        let level: Measure = "AP(rel=2)".parse().unwrap();
        assert_eq!((level.kind, level.level, level.cut), (AveragePrecision, 2, None));
        assert_eq!((level.to_string(), level.ir_name()), ("map(rel=2)".into(), "AP(rel=2)".into()));
        assert_eq!("P(rel=3)@5".parse::<Measure>().unwrap().to_string(), "p(rel=3)@5");
    }

    #[test]
    fn reports_name_and_order_every_figure() {
        let names =
            ["span-recall@10", "span-recall@5", "recall@100", "recall@10", "ndcg@10"].map(str::to_owned);
        let shown: Vec<String> =
            in_reading_order(names.iter()).into_iter().map(|name| ir_name(name)).collect();
        assert_eq!(shown, ["nDCG@10", "R@10", "R@100", "SpanRecall@5", "SpanRecall@10"]);
        assert_eq!(ir_name("something"), "something");
    }

    #[test]
    fn names_that_mean_nothing_are_refused() {
        for wrong in [
            "ndcg",
            "ndcg@0",
            "ndcg@x",
            "bleu@4",
            "",
            "bpref@10",
            "ndcg(rel=2)@10",
            "p(rel=0)@5",
            "p(rel=2@5",
        ] {
            assert!(wrong.parse::<Measure>().is_err(), "{wrong}");
        }
    }
}
