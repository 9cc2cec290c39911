"""Searches, then reads an answer as it is written: Python alone, no package."""

import json
import os
import urllib.request

URL = os.environ.get("WELLSPRING_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("WELLSPRING_KEY")


def post(path, body, accept="application/json"):
    headers = {"content-type": "application/json", "accept": accept}
    if KEY:
        headers["authorization"] = f"Bearer {KEY}"
    return urllib.request.urlopen(urllib.request.Request(URL + path, json.dumps(body).encode(), headers))


def events(lines):
    """Name and data of server-sent events."""
    name, data = "message", []
    for line in (raw.decode().rstrip("\r\n") for raw in lines):
        if not line and data:
            yield name, json.loads("\n".join(data))
            name, data = "message", []
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


with post("/v1/search", {"query": "hotel night", "k": 3}) as reply:
    for hit in json.load(reply)["hits"]:
        print(f"{hit['score']:.3f}  {hit['source']}  bytes {hit['start']}-{hit['end']}")

question = {"question": "What may a hotel night outside a capital cost?", "stream": True}
with post("/v1/answers", question, accept="text/event-stream") as reply:
    for name, data in events(reply):
        if name == "token":
            print(data["text"], end="", flush=True)
        elif name in ("done", "refused"):
            print()
            for citation in data["citations"]:
                print(f"[{citation['n']}] {citation['source']}, page {citation['page']}: {citation['quote']}")
        elif name == "error":
            raise SystemExit(data["detail"])
