"""Google's gRPC client with nothing but what the server tells of itself: python check_grpc.py BINARY."""

import contextlib
import importlib.metadata
import subprocess
import sys
import tempfile

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from server import environment

TEXT = "# Leave\n\nEveryone has thirty days of paid leave. Annual leave needs two weeks notice.\n"


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")
    print(f"ok  {what}")


def refused(what, code, call):
    try:
        call()
    except grpc.RpcError as error:
        check(f"{what}: {error.details()[:60]}", error.code(), code)
        return dict(error.trailing_metadata())
    sys.exit(f"{what}: no error")


@contextlib.contextmanager
def serving(binary):
    """Yields the address for gRPC and the first key."""
    with tempfile.TemporaryDirectory() as data:
        command = [binary, "--data", data, "serve", "--listen", "127.0.0.1:0"]
        settings = {
            "WELLSPRING__GRPC__LISTEN": "127.0.0.1:0",
            "WELLSPRING__AUTH__MODE": "keys",
            "WELLSPRING__ANSWER__MODEL": "extractive",
        }
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(settings))
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            yield lines[2].rsplit(" ", 1)[1].strip(), lines[1].rsplit(" ", 1)[1].strip()
        finally:
            process.terminate()
            process.wait(30)


class Service:
    """A service as reflection describes it; a method is called by its name with the fields of its message."""

    def __init__(self, channel, pool, name):
        self.channel, self.pool, self.name = channel, pool, name
        self.methods = pool.FindServiceByName(name).methods_by_name

    def message(self, name, **fields):
        return GetMessageClass(self.pool.FindMessageTypeByName(f"wellspring.v1.{name}"))(**fields)

    def __getattr__(self, name):
        method = self.methods[name]
        shape = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
        call = getattr(self.channel, "_".join(shape))(
            f"/{self.name}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return lambda request, key: call(request, metadata=[("authorization", f"Bearer {key}")], timeout=60)


def tour(channel, key):
    database = ProtoReflectionDescriptorDatabase(channel)
    listed = sorted(name for name in database.get_services() if name.startswith("wellspring"))
    check("reflection: services", listed, [f"wellspring.v1.{name}Service" for name in ("Answer", "Ingest", "Search")])
    pool = DescriptorPool(database)
    search, answers, ingest = (Service(channel, pool, f"wellspring.v1.{n}Service") for n in ("Search", "Answer", "Ingest"))
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="wellspring.v1.SearchService"))
    check("health", health.status, health_pb2.HealthCheckResponse.SERVING)

    query = search.message("SearchRequest", query="paid leave", filter='year = 2026')
    metadata = refused("no such key", grpc.StatusCode.UNAUTHENTICATED, lambda: search.Search(query, "ws_x"))
    check("the stable code", metadata["wellspring-code"], "unauthenticated")

    def parts():
        for name in ("leave.md", "bad\nid", "other.md"):
            head = ingest.message("DocumentHead", id=name, media_type="text/markdown")
            head.metadata.update({"year": 2026, "lang": "en"})
            yield ingest.message("IngestRequest", head=head)
            yield ingest.message("IngestRequest", chunk=TEXT.encode()[:20])
            yield ingest.message("IngestRequest", chunk=TEXT.encode()[20:])

    outcomes = list(ingest.Ingest(parts(), key))
    check("ingest: outcomes", [one.WhichOneof("outcome") for one in outcomes], ["accepted", "failure", "accepted"])
    states = list(ingest.WatchJob(ingest.message("WatchJobRequest", job=outcomes[0].accepted.job), key))
    state = states[-1].DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[states[-1].state].name
    check("watch: the last state", state, "JOB_STATE_INDEXED")
    list(ingest.WatchJob(ingest.message("WatchJobRequest", job=outcomes[2].accepted.job), key))

    found = search.Search(query, key)
    check("search: the hit", found.hits[0].document_id in ("leave.md", "other.md"), True)
    check("search: metadata", found.hits[0].metadata["year"], 2026.0)
    check("search: offsets", TEXT.encode()[found.hits[0].start : found.hits[0].end].decode(), found.hits[0].text)
    refused("search: no such collection", grpc.StatusCode.NOT_FOUND,
            lambda: search.Search(search.message("SearchRequest", query="x", collection="none"), key))
    refused("search: a bad filter", grpc.StatusCode.INVALID_ARGUMENT,
            lambda: search.Search(search.message("SearchRequest", query="x", filter="= ="), key))

    question = answers.message("AnswerRequest", question="How many days of paid leave does everyone have?")
    events = list(answers.Answer(question, key))
    kinds = [event.WhichOneof("event") for event in events]
    check("answer: first and last event", (kinds[0], kinds[-1]), ("retrieval", "done"))
    check("answer: the text", events[-1].done.answer, "Everyone has thirty days of paid leave. [1]")
    refusal = answers.message("AnswerRequest", question="Which comet crossed the orbit of Jupiter?")
    check("answer: a refusal", list(answers.Answer(refusal, key))[-1].WhichOneof("event"), "refused")


def main(binary):
    packages = ["grpcio", "grpcio-reflection", "grpcio-health-checking", "protobuf"]
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    with serving(binary) as (address, key), grpc.insecure_channel(address) as channel:
        tour(channel, key)


if __name__ == "__main__":
    main(sys.argv[1])
