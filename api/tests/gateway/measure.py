"""What a gateway adds to a provider's latency: python measure.py BINARY [REQUESTS].

The same provider on this machine is asked directly, through LiteLLM's proxy and through this server, in turn and one request
at a time, so that whatever else the machine does meets all three alike. The server does more than pass a question on: it
searches first, checks every sentence against the passages it cites, and looks the citations up again. Its own `timings` say
how long the search took; the line `without the search` leaves that out, and is what compares with a proxy.
"""

import contextlib
import http.client
import json
import os
import pathlib
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "clients"))

import server  # noqa: E402

QUESTION = "How many days of paid leave does everyone have?"
PASSAGE = "# Leave\n\nEveryone has thirty days of paid leave. Annual leave needs two weeks notice. Sick leave needs no notice.\n"
# The provider's pace: the first token, and each one after it.
FIRST_MS, GAP_MS = 20, 5
WARM_UP = 20
# The proxy does not start without one; the others do not look at it.
KEY = f"sk-{secrets.token_hex(32)}"


class Target:
    """Something that speaks OpenAI's chat over one kept connection."""

    def __init__(self, name, url, model, extra=None):
        self.name, self.model, self.extra = name, model, extra or {}
        host = url.removeprefix("http://").split("/")[0]
        self.connection = http.client.HTTPConnection(host, timeout=60)

    def post(self, stream):
        body = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}], "stream": stream, **self.extra}
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = self.connection.getresponse()
        if response.status != 200:
            sys.exit(f"{self.name}: {response.status} {response.read()[:300]}")
        return response

    def whole(self):
        """Milliseconds for a whole reply, and the part of them that the search took."""
        start = time.perf_counter()
        reply = json.loads(self.post(False).read())
        took = (time.perf_counter() - start) * 1e3
        if "thirty" not in reply["choices"][0]["message"]["content"]:
            sys.exit(f"{self.name}: {reply}")
        timings = reply.get("wellspring", {}).get("timings", {})
        searched = timings.get("total", 0) - timings.get("generate", 0) - timings.get("recheck", 0)
        return took, searched

    def streamed(self):
        """Milliseconds to the first text, and to the piece that ends the first sentence."""
        start = time.perf_counter()
        response, text, first, sentence = self.post(True), "", None, None
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            choices = json.loads(line[6:]).get("choices") or [{}]
            piece = choices[0].get("delta", {}).get("content")
            if not piece:
                continue
            now = (time.perf_counter() - start) * 1e3
            text += piece
            first = first or now
            if sentence is None and "." in text:
                sentence = now
        if sentence is None:
            sys.exit(f"{self.name}: no sentence in {text!r}")
        return first, sentence


@contextlib.contextmanager
def process(command, ready, env=None):
    running = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )
    try:
        yield ready(running)
    finally:
        running.terminate()
        running.wait(30)


def first_url(running):
    line = running.stdout.readline()
    if "http://" not in line:
        sys.exit(f"it did not start: {line}")
    return "http://" + line.split("http://")[1].strip().rstrip("/")


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def litellm(provider):
    """LiteLLM's proxy before the provider; its own defaults, one worker."""
    program = pathlib.Path(sys.executable).with_name("litellm")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "config.yaml"
        config.write_text(
            "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n"
            f"      api_base: {provider}/v1\n      api_key: sk-local\n"
        )
        env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": KEY}
        # Its output goes to a file: a full pipe would stop it.
        with open(pathlib.Path(folder) / "log", "w") as log:
            running = subprocess.Popen(
                [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
                stdout=log, stderr=log, env=env,
            )
            try:
                for _ in range(600):
                    with contextlib.suppress(OSError):
                        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2)
                        break
                    if running.poll() is not None:
                        sys.exit((pathlib.Path(folder) / "log").read_text())
                    time.sleep(0.5)
                else:
                    sys.exit("LiteLLM's proxy did not start within five minutes")
                yield f"http://127.0.0.1:{port}"
            finally:
                running.terminate()
                running.wait(30)


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name, values, base):
    median, p99 = statistics.median(values), quantile(values, 0.99)
    added = "" if base is None else f"{median - statistics.median(base):9.2f} {p99 - quantile(base, 0.99):9.2f}"
    print(f"  {name:34} {median:9.2f} {p99:9.2f} {added}")


def main(binary, requests="300"):
    import importlib.metadata

    count = int(requests)
    settings = {"WELLSPRING__MODELS__DEFAULT_EMBEDDER": "all-MiniLM-L6-v2"}
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(
            process([sys.executable, HERE / "provider.py", "0", FIRST_MS, GAP_MS], first_url)
        )
        settings["WELLSPRING__MODELS__CHATS"] = f'[{{name="m",base_url="{provider}/v1",model="m"}}]'
        settings["WELLSPRING__ANSWER__FALL_BACK"] = "false"
        proxy = stack.enter_context(litellm(provider))
        own = stack.enter_context(server.serving(binary, settings))
        server.add(own, "leave.md", PASSAGE)
        targets = [
            Target("directly", provider, "m"),
            Target("LiteLLM's proxy", proxy, "m"),
            Target("this server", own, "default"),
        ]
        whole = {target.name: [] for target in targets}
        streamed = {target.name: [] for target in targets}
        for number in range(count + WARM_UP):
            # Whoever is first in a round changes, so that no one always follows the same other.
            for target in targets[number % 3:] + targets[: number % 3]:
                one, other = target.whole(), target.streamed()
                if number >= WARM_UP:
                    whole[target.name].append(one)
                    streamed[target.name].append(other)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"LiteLLM {importlib.metadata.version('litellm')}; {platform.machine()}, {os.cpu_count()} processors, "
          f"load {load}; {count} requests each, one at a time; provider: {FIRST_MS} ms to the first token, {GAP_MS} ms each")
    base = [took for took, _ in whole["directly"]]
    print(f"whole reply, ms                          median       p99     added to median and p99")
    for name, values in whole.items():
        row(name, [took for took, _ in values], None if name == "directly" else base)
    row("this server without the search", [took - searched for took, searched in whole["this server"]], base)
    print("first text of a stream, ms")
    base = [first for first, _ in streamed["directly"]]
    for name, values in streamed.items():
        row(name, [first for first, _ in values], None if name == "directly" else base)
    print("end of the first sentence, ms (this server sends sentences, once each is checked)")
    base = [sentence for _, sentence in streamed["directly"]]
    for name, values in streamed.items():
        row(name, [sentence for _, sentence in values], None if name == "directly" else base)


if __name__ == "__main__":
    main(*sys.argv[1:])
