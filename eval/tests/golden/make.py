"""Writes the golden files: runs and judgements drawn at random, and what the reference tools say of them.

    python3 -m venv venv && venv/bin/pip install ir_measures pytrec-eval-terrier scipy statsmodels ranx
    venv/bin/python eval/tests/golden/make.py

The folder `mixed` is older than this script and is left alone.
"""

import json
import random
import urllib.parse
from pathlib import Path

import ir_measures
import numpy as np
import pytrec_eval
from ranx.data_structures import Qrels, Run
from ranx.statistical_tests import fisher_randomization_test
from scipy import stats
from statsmodels.stats.multitest import multipletests

HERE = Path(__file__).resolve().parent

# Our name, pytrec_eval's measure at relevance level 1.
LEVEL_1 = {
    "ndcg@5": "ndcg_cut_5", "ndcg@10": "ndcg_cut_10", "ndcg@100": "ndcg_cut_100",
    "recall@10": "recall_10", "recall@100": "recall_100", "p@5": "P_5", "p@10": "P_10",
    "mrr": "recip_rank", "map": "map", "map@10": "map_cut_10", "hit@1": "success_1", "hit@5": "success_5",
    "bpref": "bpref", "rprec": "Rprec",
}
# The same at level 2.
LEVEL_2 = {
    "recall(rel=2)@10": "recall_10", "p(rel=2)@5": "P_5", "mrr(rel=2)": "recip_rank", "map(rel=2)": "map",
    "bpref(rel=2)": "bpref", "rprec(rel=2)": "Rprec",
}
# Names by which ir_measures must agree with pytrec_eval before anything is written.
IR_NAMES = {"ndcg@10": "nDCG@10", "recall@100": "R@100", "p@5": "P@5", "map": "AP", "hit@5": "Success@5",
            "bpref": "Bpref", "rprec": "Rprec", "map(rel=2)": "AP(rel=2)", "recall(rel=2)@10": "R(rel=2)@10"}


def encode(name):
    return urllib.parse.quote(name, safe="".join(chr(c) for c in range(33, 127) if chr(c) != "%") + "éüß漢字")


def draw(rng, queries, documents, depth, grades, ties, identifier, missing=(), extra=()):
    """A run and judgements. `grades` are drawn from; `ties` is the number of distinct scores (None: all distinct)."""
    names = [identifier(i) for i in range(documents)]
    qrels, run = {}, {}
    for at in range(queries):
        query = f"q{at}"
        judged = rng.sample(names, rng.randint(3, min(25, documents)))
        qrels[query] = {name: rng.choice(grades) for name in judged}
        if query in missing:
            continue
        ranked = rng.sample(names, rng.randint(1, depth))
        # Judged documents are more likely than others, as in a real run.
        ranked = list(dict.fromkeys(rng.sample(judged, len(judged) // 2) + ranked))[:depth]
        values = [rng.choice(range(ties)) / 7 if ties else rng.random() * 10 for _ in ranked]
        run[query] = dict(zip(ranked, values))
    for query in extra:
        run[query] = {names[0]: 1.0}
    return qrels, run


def references(qrels, run):
    """Values per query; a query that the run lacks counts 0. Grades below 0 count as 0 here as in our reader."""
    qrels = {q: {d: max(g, 0) for d, g in judged.items()} for q, judged in qrels.items()}
    values = {q: {} for q in qrels}
    for level, names in ((1, LEVEL_1), (2, LEVEL_2)):
        wanted = {"ndcg_cut.5,10,100", "recall.10,100", "P.5,10", "recip_rank", "map", "map_cut.10", "success.1,5",
                  "bpref", "Rprec"}
        found = pytrec_eval.RelevanceEvaluator(qrels, wanted, relevance_level=level).evaluate(run)
        for query in qrels:
            for ours, theirs in names.items():
                values[query][ours] = found.get(query, {}).get(theirs, 0.0)
    for query in qrels:
        # Cut at 10 by hand: ir_measures hands RR@10 to a tool that orders ties differently.
        reciprocal = values[query]["mrr"]
        values[query]["mrr@10"] = reciprocal if reciprocal >= 0.1 - 1e-9 else 0.0
    for ours, theirs in IR_NAMES.items():
        measure = ir_measures.parse_measure(theirs)
        for metric in measure.iter_calc(qrels, run):
            assert abs(metric.value - values[metric.query_id][ours]) < 1e-9, (ours, metric)
    mean = {name: sum(v[name] for v in values.values()) / len(values) for name in next(iter(values.values()))}
    return {"mean": mean, "per_query": values}


def write(folder, qrels, run):
    folder.mkdir(exist_ok=True)
    lines = [f"{encode(q)} 0 {encode(d)} {g}" for q, judged in qrels.items() for d, g in judged.items()]
    (folder / "qrels.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # The rank column is nonsense on purpose: it plays no part.
    lines = [f"{encode(q)} Q0 {encode(d)} {9 - i} {s!r} golden" for q, ranked in run.items()
             for i, (d, s) in enumerate(ranked.items())]
    (folder / "run.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps(references(qrels, run), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def runs():
    plain = lambda i: f"d{i}"
    strange = lambda i: ["Lilu (mythology) {}", "Alû {}", "100 % {}", "漢字 {}", "Straße é {}"][i % 5].format(i)
    cases = {
        "binary": dict(queries=15, documents=60, depth=40, grades=[0, 1, 1], ties=None, identifier=plain),
        "graded": dict(queries=15, documents=60, depth=40, grades=[0, 1, 2, 3], ties=None, identifier=plain),
        "ties": dict(queries=15, documents=60, depth=40, grades=[0, 0, 1, 2], ties=4, identifier=plain),
        "missing": dict(queries=12, documents=50, depth=30, grades=[-1, 0, 1, 2], ties=9, identifier=plain,
                        missing=("q1", "q7"), extra=("q90", "q91")),
        "strange-ids": dict(queries=12, documents=50, depth=30, grades=[0, 1, 2], ties=5, identifier=strange),
        "long": dict(queries=5, documents=200, depth=150, grades=[0, 1], ties=30, identifier=plain),
    }
    for seed, (name, case) in enumerate(cases.items()):
        write(HERE / name, *draw(random.Random(seed), **case))


def difference(a, b, exact):
    a, b = np.array(a), np.array(b)
    mean = lambda x, axis: np.mean(x, axis=axis)
    resamples = np.inf if exact else 200_000
    test = stats.permutation_test((b - a,), mean, permutation_type="samples", n_resamples=resamples, vectorized=True,
                                  alternative="two-sided", rng=np.random.default_rng(1), batch=5_000)
    interval = stats.bootstrap((b - a,), np.mean, method="percentile", n_resamples=100_000, confidence_level=0.95,
                               rng=np.random.default_rng(2), batch=5_000).confidence_interval
    ranx_p, _ = fisher_randomization_test(a, b, n_permutations=20_000, random_seed=3)
    return {"a": list(a), "b": list(b), "exact": exact, "mean": float(np.mean(b - a)), "p": float(test.pvalue),
            "p_ranx": float(ranx_p), "low": float(interval.low), "high": float(interval.high),
            "effect": float(np.mean(b - a) / np.std(b - a, ddof=1)),
            "tau": float(stats.kendalltau(a, b).statistic)}


def statistics():
    rng = random.Random(11)
    values = lambda n: [round(rng.random(), 4) for _ in range(n)]
    shift = lambda base, by, noise: [min(1.0, max(0.0, round(x + by + rng.gauss(0, noise), 4))) for x in base]
    pairs = []
    for n, by, noise in ((6, 0.1, 0.1), (12, 0.05, 0.1), (16, 0.0, 0.2), (60, 0.03, 0.1), (150, 0.02, 0.12), (300, 0.0, 0.1)):
        a = values(n)
        b = shift(a, by, noise)
        # Some queries do not differ at all, as in practice.
        for i in rng.sample(range(n), n // 4):
            b[i] = a[i]
        pairs.append(difference(a, b, n <= 16))
    raw = [0.001, 0.04, 0.03, 0.2, 0.03, 0.9, 0.012]
    holm = list(map(float, multipletests(raw, method="holm")[1]))
    (HERE / "statistics.json").write_text(json.dumps({"pairs": pairs, "holm": {"raw": raw, "adjusted": holm}}) + "\n")


if __name__ == "__main__":
    runs()
    statistics()
