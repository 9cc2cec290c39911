"""A LlamaIndex retriever: passages become nodes with their scores."""

import json
import os
import urllib.request

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


class WellspringRetriever(BaseRetriever):
    """Finds passages over HTTP."""

    def __init__(self, url: str | None = None, key: str | None = None, collection: str = "default", k: int = 5) -> None:
        super().__init__()
        self._url = url or os.environ.get("WELLSPRING_URL", "http://127.0.0.1:8080")
        self._key = key or os.environ.get("WELLSPRING_KEY")
        self._collection, self._k = collection, k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        body = {"collection": self._collection, "query": query_bundle.query_str, "k": self._k}
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {self._key}"} if self._key else {})
        request = urllib.request.Request(f"{self._url}/v1/search", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            hits = json.load(reply)["hits"]
        kept = ("document_id", "source", "title", "page", "start", "end")
        return [
            NodeWithScore(node=TextNode(id_=hit["chunk_id"], text=hit["text"], metadata={name: hit[name] for name in kept}), score=hit["score"])
            for hit in hits
        ]


if __name__ == "__main__":
    for found in WellspringRetriever(k=3).retrieve("hotel night"):
        print(found.node.metadata["source"], found.score, found.node.text[:60].replace("\n", " "))
