"""Starts the server over a folder of its own, with the deterministic embedder and a few documents."""

import contextlib
import json
import os
import subprocess
import tempfile
import urllib.request

DOCUMENTS = {
    "leave.md": "# Leave\n\nEveryone has thirty days of paid leave. Annual leave needs two weeks notice.\n",
    "otter.md": "# Otter 3\n\nThe Otter 3 sensor measures water levels up to 4.2 metres.\n",
}


def environment(extra=None):
    own = {"DATABASE_URL": "", "WELLSPRING__MODELS__DEFAULT_EMBEDDER": "fake/hash", "RUST_LOG": "warn"}
    return {**os.environ, **own, **(extra or {})}


@contextlib.contextmanager
def serving(binary, extra=None, data=None):
    """Yields the server's address; its data folder is gone afterwards unless one is named."""
    with contextlib.nullcontext(data) if data else tempfile.TemporaryDirectory() as data:
        command = [binary, "--data", data, "serve", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(extra))
        try:
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise SystemExit(f"the server did not start: {line!r}")
            url = line.removeprefix("listening on ").strip().rstrip("/")
            for name, text in DOCUMENTS.items():
                add(url, name, text)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def add(url, name, text):
    """Adds a document and returns when it is searchable."""
    body = json.dumps({"id": name, "text": text, "media_type": "text/markdown"}).encode()
    request = urllib.request.Request(
        f"{url}/v1/collections/default/documents", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        job = json.load(reply)["job"]
    # The stream of the job's events ends with the job.
    with urllib.request.urlopen(f"{url}/v1/jobs/{job}/events", timeout=60) as events:
        last = events.read().decode()
    if '"state":"indexed"' not in last:
        raise SystemExit(f"{name} was not indexed: {last}")
