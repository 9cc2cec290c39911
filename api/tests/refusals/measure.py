"""Which questions a server refuses, and whether its quotes hold the answer: python measure.py BINARY DATASETS.

The documents are the invented company's (fixtures/corpus), the settings those that a new user has, and no chat model writes.
Asked are the questions of datasets/ostermere, and some of other sets, which those documents can't answer. A question counts as
answered where a quoted sentence has at least 60 % of the words of one of its gold quotes.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
OURS = ROOT / "datasets" / "ostermere"
OTHERS = ["cacm", "scifact", "hotpotqa-100", "squad2", "xquad-de"]
SAMPLE, SEED, SAME = 60, 1, 0.6


@contextlib.contextmanager
def serving(binary, data):
    process = subprocess.Popen(
        [binary, "--data", data, "serve", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "RUST_LOG": "warn"},
    )
    try:
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit(f"the server did not start: {line!r}")
        yield line.removeprefix("listening on ").strip().rstrip("/")
    finally:
        process.terminate()
        process.wait(30)


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def ask(url, question):
    body = json.dumps({"question": question, "model": "extractive"}).encode()
    request = urllib.request.Request(f"{url}/v1/answers", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)


def holds(answer, spans):
    quotes = [words(citation["quote"]) for citation in answer["citations"]]
    return any(len(words(span) & quote) >= SAME * len(words(span)) for span in spans for quote in quotes)


def row(name, outcomes):
    refused = sum(refused for refused, _ in outcomes) / len(outcomes)
    right = sum(right for _, right in outcomes) / len(outcomes)
    said = f"{right:.3f}" if name.startswith("answerable") else ""
    print(f"{name:<44} {len(outcomes):>9} {refused:>8.3f} {said:>9}")


def main(binary, datasets):
    spans = {}
    for line in lines(OURS / "spans.jsonl"):
        spans.setdefault(line["query-id"], []).append(line["quote"])
    groups = {}
    with tempfile.TemporaryDirectory() as data:
        subprocess.run(
            [binary, "--data", data, "ingest", str(ROOT / "fixtures" / "corpus")],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        with serving(binary, data) as url:
            for query in lines(OURS / "queries.jsonl"):
                about = query["metadata"]
                name = f"{'answerable' if about['answerable'] else 'unanswerable'}, {about['language']}"
                answer = ask(url, query["text"])
                right = holds(answer, spans.get(query["_id"], []))
                groups.setdefault(name, []).append((answer["abstained"], right))
            for other in OTHERS:
                queries = lines(pathlib.Path(datasets) / other / "queries.jsonl")
                for query in random.Random(SEED).sample(queries, min(SAMPLE, len(queries))):
                    answer = ask(url, query["text"][:1500])
                    groups.setdefault(f"of {other}", []).append((answer["abstained"], False))
    print(f"{'questions':<44} {'number':>9} {'refused':>8} {'answered':>9}")
    for name, outcomes in groups.items():
        row(name, outcomes)


if __name__ == "__main__":
    main(*sys.argv[1:3])
