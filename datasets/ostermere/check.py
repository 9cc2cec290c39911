"""Checks that the evaluation set and fixtures/corpus fit together; prints a summary and exits 1 on any error.

Standard library only. `python3 datasets/ostermere/check.py`. A quote must occur in the text of its document after white
space is normalised. PDF text is taken from fixtures/sources, all other formats are read from the file itself.
"""

import collections
import email
import email.policy
import html.parser
import json
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TYPES = ("fact paraphrase identifier acronym table numeric negation superseded code multi cross-language unanswerable").split()
LEAST = {"identifier": 20, "multi": 20, "superseded": 10, "cross-language": 6, "unanswerable": 20}
LEAST_ANSWERABLE, LEAST_GERMAN = 140, 10
errors = []


class Visible(html.parser.HTMLParser):
    """Collects the text of an HTML page; blocks and table cells end with a line end."""

    def __init__(self):
        super().__init__()
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")
        if tag not in ("a", "b", "i", "code", "strong", "em", "span"):
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def html_text(markup):
    page = Visible()
    page.feed(markup)
    return "".join(page.parts)


def xml_text(archive, pattern, text_tag, block_tag):
    """The text of all members that match, one line per block element."""
    lines = []
    for name in sorted(archive.namelist()):
        if re.fullmatch(pattern, name):
            for block in ElementTree.fromstring(archive.read(name)).iter():
                if block.tag.rpartition("}")[2] == block_tag:
                    lines.append("".join(t.text or "" for t in block.iter() if t.tag.rpartition("}")[2] == text_tag))
    return "\n".join(lines)


def text_of(path, sources):
    kind = path.suffix
    if kind == ".pdf":
        return (sources / (path.stem + ".md")).read_text(encoding="utf-8")
    if kind in (".docx", ".xlsx", ".pptx", ".epub"):
        with zipfile.ZipFile(path) as archive:
            if kind == ".docx":
                return xml_text(archive, r"word/document\.xml", "t", "p")
            if kind == ".xlsx":
                shared = xml_text(archive, r"xl/sharedStrings\.xml", "t", "si")
                return shared + "\n" + xml_text(archive, r"xl/worksheets/\w+\.xml", "t", "is")
            if kind == ".pptx":
                return xml_text(archive, r"ppt/(slides|notesSlides)/\w+\.xml", "t", "p")
            names = [name for name in sorted(archive.namelist()) if name.endswith(".xhtml")]
            return "\n".join(html_text(archive.read(name).decode("utf-8")) for name in names)
    if kind == ".eml":
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        head = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Cc", "Subject", "Date") if message[name])
        return head + "\n" + message.get_body(("plain", "html")).get_content()
    text = path.read_bytes().decode("utf-8")
    return html_text(text) if kind == ".html" else text


def squeeze(text):
    return " ".join(text.split())


def rows(name):
    found = []
    for number, line in enumerate((HERE / name).read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as cause:
            errors.append(f"{name}:{number}: not JSON: {cause}")
    return found


def main():
    config = tomllib.loads((HERE / "dataset.toml").read_text(encoding="utf-8"))
    corpus = (HERE / config["documents"]).resolve()
    if not corpus.is_dir():
        sys.exit(f"error: {corpus} is missing; `documents` in dataset.toml must name the folder of the corpus")
    documents = {p.relative_to(corpus).as_posix(): p for p in sorted(corpus.rglob("*")) if p.is_file()}
    texts = {name: squeeze(text_of(path, corpus.parent / "sources")) for name, path in documents.items()}
    queries = rows(config["queries"])
    known = {query["_id"]: query for query in queries}
    if len(known) != len(queries):
        errors.append("queries.jsonl: an id occurs twice")
    if len({query["text"] for query in queries}) != len(queries):
        errors.append("queries.jsonl: a question occurs twice")
    for query in queries:
        meta = query["metadata"]
        if meta["type"] not in TYPES or meta["language"] not in config["languages"]:
            errors.append(f"{query['_id']}: unknown type or language: {meta}")
        if meta["answerable"] == (meta["type"] == "unanswerable"):
            errors.append(f"{query['_id']}: type and `answerable` contradict each other")

    lines = (HERE / config["qrels"]).read_text(encoding="utf-8").splitlines()
    if lines[0] != "query-id\tcorpus-id\tscore":
        errors.append("qrels: the first line must be query-id, corpus-id, score, separated by tabs")
    judged = collections.defaultdict(dict)
    for number, line in enumerate(lines[1:], 2):
        query, document, score = line.split("\t")
        if query not in known or document not in documents or score not in ("1", "2", "3"):
            errors.append(f"qrels line {number}: unknown query, document or grade: {line!r}")
        if document in judged[query]:
            errors.append(f"qrels line {number}: judged twice")
        judged[query][document] = int(score)

    spans = collections.defaultdict(set)
    for span in rows(config["spans"]):
        query, document = span["query-id"], span["corpus-id"]
        if judged.get(query, {}).get(document) != span["score"]:
            errors.append(f"spans: {query} {document}: the grade is not that of the qrels")
        elif squeeze(span["quote"]) not in texts[document]:
            errors.append(f"spans: {query} {document}: quote not found: {span['quote']!r}")
        spans[query].add(document)

    answers = {answer["query-id"]: answer for answer in rows(config["answers"])}
    if set(answers) != set(known):
        errors.append(f"answers: ids differ from queries: {sorted(set(answers) ^ set(known))}")
    for name, query in known.items():
        answerable, grades = query["metadata"]["answerable"], judged.get(name, {})
        if name in answers and (answers[name]["answerable"] != answerable or not answers[name]["answer"].strip()):
            errors.append(f"{name}: the answer is empty or contradicts `answerable`")
        if not answerable and (grades or spans.get(name)):
            errors.append(f"{name}: unanswerable, yet judged")
        if answerable and max(grades.values(), default=0) < 2:
            errors.append(f"{name}: answerable, yet nothing is judged 2 or 3")
        if query["metadata"]["type"] == "multi" and sum(grade >= 2 for grade in grades.values()) < 2:
            errors.append(f"{name}: a multi-document question needs two documents graded 2 or 3")
        for document in (document for document, grade in grades.items() if grade == 3):
            if document not in spans[name]:
                errors.append(f"{name}: {document} is graded 3 but has no span")

    types = collections.Counter(query["metadata"]["type"] for query in queries)
    languages = collections.Counter(query["metadata"]["language"] for query in queries)
    answerable = sum(query["metadata"]["answerable"] for query in queries)
    for kind, least in LEAST.items():
        if types[kind] < least:
            errors.append(f"only {types[kind]} questions of type {kind}, at least {least} are wanted")
    if answerable < LEAST_ANSWERABLE or languages["de"] < LEAST_GERMAN:
        errors.append(f"only {answerable} answerable or {languages['de']} German questions")
    grades = collections.Counter(grade for pairs in judged.values() for grade in pairs.values())
    never = sorted(set(documents) - {document for pairs in judged.values() for document in pairs})
    print(f"documents     {len(documents)} ({len(never)} never judged{': ' + ', '.join(never) if never else ''})")
    print(f"questions     {len(queries)} ({answerable} answerable, {len(queries) - answerable} unanswerable)")
    print("languages    ", ", ".join(f"{name} {count}" for name, count in sorted(languages.items())))
    print("types        ", ", ".join(f"{name} {types[name]}" for name in TYPES))
    print("judgements   ", sum(grades.values()), "by grade", ", ".join(f"{grade}: {grades[grade]}" for grade in (3, 2, 1)))
    print("spans        ", sum(1 for _ in rows(config["spans"])))
    for error in errors:
        print("error:", error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
