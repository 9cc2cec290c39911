"""A local chat provider in OpenAI's shape that answers at a known pace: python provider.py PORT FIRST_MS GAP_MS."""

import asyncio
import json
import sys

# Three sentences, each supported by the passage that the server finds.
SENTENCES = [
    ["Everyone ", "has thirty ", "days of ", "paid leave [1]."],
    [" Annual leave ", "needs two ", "weeks notice [1]."],
    [" Sick leave ", "needs no ", "notice [1]."],
]
PIECES = [piece for sentence in SENTENCES for piece in sentence]
USAGE = {"prompt_tokens": 11, "completion_tokens": 10, "total_tokens": 21}


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    return f"data: {json.dumps(body)}\n\n".encode()


def whole():
    message = {"role": "assistant", "content": "".join(PIECES)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    ).encode()


async def serve(reader, writer, first, gap):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.strip().lower() == b"content-length":
                    length = int(value)
            request = json.loads(await reader.readexactly(length) or b"{}")
            await asyncio.sleep(first)
            if not request.get("stream"):
                body = whole()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            events = [chunk({"role": "assistant", "content": ""})] + [chunk({"content": piece}) for piece in PIECES]
            last = chunk({}, "stop", usage=USAGE) + b"data: [DONE]\n\n"
            for number, event in enumerate([*events, last]):
                if number > 1:
                    await asyncio.sleep(gap)
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port, first, gap):
    handler = lambda reader, writer: serve(reader, writer, first, gap)  # noqa: E731
    server = await asyncio.start_server(handler, "127.0.0.1", port)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1e3, float(sys.argv[3]) / 1e3))
