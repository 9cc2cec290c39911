"""A LangChain retriever: passages become documents that know where they stand."""

import json
import os
import urllib.request

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever


class WellspringRetriever(BaseRetriever):
    """Finds passages over HTTP."""

    url: str = os.environ.get("WELLSPRING_URL", "http://127.0.0.1:8080")
    key: str | None = os.environ.get("WELLSPRING_KEY")
    collection: str = "default"
    k: int = 5
    filter: str | None = None

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        body = {"collection": self.collection, "query": query, "k": self.k} | ({"filter": self.filter} if self.filter else {})
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.url}/v1/search", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            hits = json.load(reply)["hits"]
        kept = ("document_id", "chunk_id", "source", "title", "page", "start", "end", "score")
        return [Document(page_content=hit["text"], metadata={name: hit[name] for name in kept} | hit["metadata"]) for hit in hits]


if __name__ == "__main__":
    for found in WellspringRetriever(k=3).invoke("hotel night"):
        print(found.metadata["source"], found.metadata["start"], found.page_content[:60].replace("\n", " "))
