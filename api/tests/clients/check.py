"""Official clients, unmodified, against the server: python check.py BINARY."""

import asyncio
import importlib.metadata
import sys
import tempfile

from server import environment, serving

QUESTION = "How many days of paid leave does everyone have?"
ANSWER = "Everyone has thirty days of paid leave. [1]\n\n[1] `Leave`, `leave.md`"


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")
    print(f"ok  {what}")


def fails(what, kind, call):
    try:
        call()
    except kind as error:
        print(f"ok  {what}: {type(error).__name__}")
    else:
        sys.exit(f"{what}: no error")


def with_openai(url):
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30)

    def ask(model="default", question=QUESTION, **more):
        messages = [{"role": "user", "content": question}]
        return client.chat.completions.create(model=model, messages=messages, **more)

    reply = ask(temperature=0.2)
    check("openai: chat", reply.choices[0].message.content, ANSWER)
    check("openai: finish", reply.choices[0].finish_reason, "stop")
    check("openai: citation", reply.wellspring["citations"][0]["document_id"], "leave.md")
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("openai: stream", text, ANSWER)
    check("openai: usage of a stream", chunks[-1].usage.total_tokens, 0)
    refused = ask(question="Which comet crossed the orbit of Jupiter?").choices[0].message
    check("openai: refusal", bool(refused.refusal) and refused.content.startswith("The documents do not"), True)
    filtered = ask(extra_body={"wellspring": {"filter": 'lang = "xx"'}}).choices[0].message
    check("openai: filter in extra_body", bool(filtered.refusal), True)
    fails("openai: unknown model", openai.NotFoundError, lambda: ask(model="gpt-4o"))
    fails("openai: two choices", openai.BadRequestError, lambda: ask(n=2))
    vectors = client.embeddings.create(model="default", input=["two weeks notice", "a sensor"])
    plain = client.embeddings.create(model="default", input="two weeks notice", encoding_format="float")
    # Unless told otherwise this client asks for base64 and decodes it.
    same = [abs(a - b) < 1e-6 for a, b in zip(vectors.data[0].embedding, plain.data[0].embedding, strict=True)]
    check("openai: embeddings", (len(vectors.data), all(same)), (2, True))
    short = client.embeddings.create(model="default", input="x", dimensions=16)
    check("openai: dimensions", len(short.data[0].embedding), 16)
    fails(
        "openai: tokens instead of text",
        openai.BadRequestError,
        lambda: client.embeddings.create(model="default", input=[[1, 2]]),
    )
    check("openai: models", "default" in [model.id for model in client.models.list()], True)
    check("openai: a model", client.models.retrieve("default").owned_by, "wellspring")


async def with_async_openai(url):
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": QUESTION}]
        calls = [client.chat.completions.create(model="default", messages=messages) for _ in range(8)]
        texts = {reply.choices[0].message.content for reply in await asyncio.gather(*calls)}
    check("openai: eight at once", texts, {ANSWER})


def with_cohere(url):
    import cohere

    documents = ["The sensor measures water levels.", "Annual leave needs two weeks notice."]
    for name, client in [("ClientV2", cohere.ClientV2), ("Client", cohere.Client)]:
        ranked = client(api_key="none", base_url=url).rerank(
            model="fake/overlap", query="annual leave notice", documents=documents, top_n=1
        )
        check(f"cohere: {name}.rerank", [result.index for result in ranked.results], [1])


async def with_mcp(url, binary, data):
    import mcp

    async def tour(name, server):
        async with mcp.Client(server) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            check(f"mcp over {name}: tools", tools, ["search", "fetch", "ask", "list_collections"])
            found = await client.call_tool("search", {"query": "annual leave notice"})
            first = found.structured_content["results"][0]
            check(f"mcp over {name}: search", first["document_id"], "leave.md")
            read = await client.call_tool("fetch", {"id": first["id"]})
            check(f"mcp over {name}: fetch", read.structured_content["document_id"], "leave.md")
            answer = await client.call_tool("ask", {"question": QUESTION})
            check(f"mcp over {name}: ask", answer.content[0].text, ANSWER)
            wrong = await client.call_tool("search", {"query": "x", "collection": "nowhere"})
            check(f"mcp over {name}: a refused call", wrong.is_error, True)
            print(f"    protocol {client.protocol_version}")

    if url:
        await tour("HTTP", f"{url}/mcp")
    if data:
        command = mcp.StdioServerParameters(command=binary, args=["--data", data, "mcp"], env=environment())
        await tour("stdio", command)


def with_langchain(url):
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    chat = ChatOpenAI(model="default", base_url=f"{url}/v1", api_key="none", max_retries=0)
    check("langchain: invoke", chat.invoke(QUESTION).content, ANSWER)
    check("langchain: stream", "".join(chunk.content for chunk in chat.stream(QUESTION)), ANSWER)
    # LangChain's own advice for servers that are not OpenAI's: without it texts are sent as tokens of OpenAI's models.
    embeddings = OpenAIEmbeddings(
        model="default", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False
    )
    check("langchain: embeddings", len(embeddings.embed_documents(["a", "b"])), 2)


def with_llama_index(url):
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding
    from llama_index.llms.openai_like import OpenAILike

    options = {"api_base": f"{url}/v1", "api_key": "none", "max_retries": 0}
    chat = OpenAILike(model="default", is_chat_model=True, **options)
    messages = [ChatMessage(role="user", content=QUESTION)]
    check("llama-index: chat", chat.chat(messages).message.content, ANSWER)
    check("llama-index: stream", "".join(part.delta or "" for part in chat.stream_chat(messages)), ANSWER)
    embedding = OpenAILikeEmbedding(model_name="default", **options)
    check("llama-index: embeddings", len(embedding.get_text_embedding_batch(["a", "b"])), 2)


def main(binary):
    packages = ["openai", "mcp", "cohere", "langchain-openai", "llama-index-llms-openai-like",
                "llama-index-embeddings-openai-like"]
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    settings = {"WELLSPRING__ANSWER__MODEL": "extractive"}
    with serving(binary, settings) as url:
        with_openai(url)
        asyncio.run(with_async_openai(url))
        with_cohere(url)
        asyncio.run(with_mcp(url, binary, None))
        with_langchain(url)
        with_llama_index(url)
    with tempfile.TemporaryDirectory() as data:
        # One process holds a data folder at a time: the server fills it, and has ended when the agent's own begins.
        with serving(binary, settings, data):
            pass
        asyncio.run(with_mcp(None, binary, data))


if __name__ == "__main__":
    main(sys.argv[1])
