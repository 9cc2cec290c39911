"""Measures reading, cutting and finding together on FinanceBench: real filings as PDF, questions with evidence pages.

    python3 datasets/finance.py FOLDER [--binary PATH] [--work FOLDER] [--most-kilobytes N] [--mode MODE]… [--set CONFIGURATION]…

FOLDER holds pdfs/*.pdf and queries.jsonl, whose metadata names the evidence (`doc`, and `page` from 0). The filings are ingested
and searched through the program itself, as a user would. A question is answered at k when one of the first k passages touches a
page of its evidence in the right filing; a share of all questions is printed, in one store with all filings and within the right
filing alone (a filter).

Each --set is one configuration to be measured: settings of the section `chunk` in TOML, parted by `;`, such as
'target_tokens = 120; file_name = "never"'; an empty one is the default. Its data folder is kept under --work, so that a second
run only searches. --most-kilobytes leaves out larger PDF files and the questions about them, for trials.

Standard library only. The annotations are CC BY-NC 4.0: for evaluation, not to be shipped.
"""

import argparse
import collections
import hashlib
import json
import math
import os
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

CUTS = (5, 10)
DEPTH = max(CUTS)


def environment(settings):
    """The variables that set a configuration, and its name."""
    variables = {"WELLSPRING__RETRIEVE__DEADLINE_MS": "60000"}
    for setting in filter(str.strip, settings.split(";")):
        key, separator, value = setting.partition("=")
        if not separator:
            sys.exit(f"--set {settings!r}: {setting!r} is no KEY = VALUE")
        tomllib.loads(setting)
        variables[f"WELLSPRING__CHUNK__{key.strip().upper()}"] = value.strip()
    return variables


def questions(folder, filings):
    """Questions all of whose evidence is in the filings at hand: text, the filings asked about, and {(filing, page from 1)}."""
    found = []
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            query = json.loads(line)
            evidence = {(e["doc"], e["page"] + 1) for e in query["metadata"]["evidence"]}
            if evidence and all(filing in filings for filing, _ in evidence):
                found.append((query["text"], sorted({filing for filing, _ in evidence}), evidence))
    return found


def ingest(binary, data, pdfs, variables):
    """Reads the files, and says what came of it; an unchanged file costs nothing."""
    command = [binary, "--data", data, "ingest", "--json", *pdfs]
    started = time.monotonic()
    run = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode not in (0, 1) or not run.stdout:
        sys.exit(f"ingest ended with {run.returncode}")
    summary = json.loads(run.stdout.splitlines()[-1])["summary"]
    if set(summary["outcomes"]) - {"indexed", "unchanged"}:
        sys.exit(f"not every filing could be read: {summary}")
    return time.monotonic() - started


class Server:
    """The program serving a data folder on a free port, for as long as the `with` block lasts."""

    def __init__(self, binary, data, variables):
        command = [binary, "--data", data, "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().split()[-1].rstrip("/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=120) as answer:
            return json.load(answer)

    def post(self, path, body):
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


def first_hit(hits, evidence, pages):
    """The rank, from 1, of the first passage that touches a page of the evidence; infinity where none does."""
    for rank, hit in enumerate(hits, start=1):
        filing = hit["document_id"].removesuffix(".pdf")
        touched = {p["page"] for p in pages[filing] if p["start"] < hit["end"] and hit["start"] < p["end"]}
        if any((filing, page) in evidence for page in touched):
            return rank
    return math.inf


def interval(hits, total):
    """Wilson's 95 % interval of a share."""
    if not total:
        return 0.0, 0.0
    z, share = 1.959964, hits / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)


def measure(options, pdfs, asked, settings):
    variables = environment(settings)
    name = hashlib.sha256(json.dumps([settings, sorted(p.name for p in pdfs), options.stamp]).encode()).hexdigest()[:12]
    data = str(options.work / name)
    seconds = ingest(options.binary, data, [str(p) for p in pdfs], variables)
    ranks = collections.defaultdict(list)
    with Server(options.binary, data, variables) as server:
        collection = server.get("/v1/collections/default")["collection"]
        pages = {}
        for pdf in pdfs:
            path = f"/v1/collections/default/documents/{urllib.parse.quote(pdf.name, safe='')}/text"
            pages[pdf.stem] = server.get(path)["pages"]
        for text, filings, evidence in asked:
            within = " or ".join(f"_id = {json.dumps(filing + '.pdf')}" for filing in filings)
            for mode in options.mode:
                for where, limit in (("all filings", None), ("the right filing", within)):
                    body = {"query": text, "k": DEPTH, "mode": mode}
                    if limit:
                        body["filter"] = limit
                    found = server.post("/v1/search", body)
                    if found["degraded"]:
                        sys.exit(f"a search was degraded: {found['degraded']}")
                    ranks[where, mode].append(first_hit(found["hits"], evidence, pages))
    result = {"settings": settings or "default", "chunks": collection["chunks"], "filings": len(pdfs),
              "questions": len(asked), "ingest_seconds": round(seconds, 1), "recall": []}
    print(f"\n{result['settings']}: {collection['chunks']} chunks of {len(pdfs)} filings, {len(asked)} questions, "
          f"read in {seconds:.0f} s")
    for (where, mode), found in sorted(ranks.items()):
        line = {"where": where, "mode": mode}
        for cut in CUTS:
            hits = sum(rank <= cut for rank in found)
            low, high = interval(hits, len(found))
            line[f"page-recall@{cut}"] = round(hits / len(found), 3)
            line[f"interval@{cut}"] = [round(low, 3), round(high, 3)]
        line["mrr@10"] = round(sum(1 / rank for rank in found) / len(found), 3)
        line["ranks"] = [None if rank == math.inf else rank for rank in found]
        result["recall"].append(line)
        shares = "  ".join(f"@{cut} {line[f'page-recall@{cut}']:.3f} ({line[f'interval@{cut}'][0]:.2f}–"
                           f"{line[f'interval@{cut}'][1]:.2f})" for cut in CUTS)
        print(f"  {where:<17}{mode:<8}{shares}  mrr {line['mrr@10']:.3f}")
    sys.stdout.flush()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--binary", default="target/release/wellspring")
    parser.add_argument("--work", type=Path, default=Path("target/finance"))
    parser.add_argument("--most-kilobytes", type=int)
    parser.add_argument("--mode", action="append", choices=("hybrid", "dense", "keyword"))
    parser.add_argument("--set", dest="settings", action="append")
    parser.add_argument("--json", type=Path, help="write the figures, and the rank of every question, to this file, too")
    options = parser.parse_args()
    options.mode = options.mode or ["hybrid", "dense", "keyword"]
    # Another build may read and cut otherwise.
    about = os.stat(options.binary)
    options.stamp = [about.st_size, about.st_mtime_ns]
    pdfs = sorted((options.folder / "pdfs").glob("*.pdf"))
    if options.most_kilobytes:
        pdfs = [pdf for pdf in pdfs if pdf.stat().st_size <= options.most_kilobytes * 1024]
    asked = questions(options.folder, {pdf.stem for pdf in pdfs})
    if not asked:
        sys.exit(f"{options.folder} holds no pdfs/*.pdf with questions about them in queries.jsonl")
    results = [measure(options, pdfs, asked, settings) for settings in options.settings or [""]]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
