"""The official openai and anthropic clients, unmodified, against the local provider: python check.py URL."""

import sys

import anthropic
import openai

URL = sys.argv[1]
TEXT = "Everyone has thirty days of paid leave [1]."
QUESTION = [{"role": "user", "content": "How many days?"}]


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")
    print(f"ok  {what}")


def fails(what, kinds, call):
    try:
        call()
    except kinds as error:
        print(f"ok  {what}: {type(error).__name__}")
    else:
        sys.exit(f"{what}: no error")


chat = openai.OpenAI(base_url=URL, api_key="sk-x", max_retries=0, timeout=3)


def completion(model, **more):
    return chat.chat.completions.create(model=model, messages=QUESTION, **more)


reply = completion("ok")
check("openai, whole", (reply.choices[0].message.content, reply.usage.total_tokens), (TEXT, 14))
chunks = list(completion("ok", stream=True, stream_options={"include_usage": True}))
check("openai, streamed", "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), TEXT)
check("openai, usage of a stream", chunks[-1].usage.completion_tokens, 3)
tools = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}]
check("openai, tools", completion("ok", tools=tools).choices[0].message.tool_calls[0].function.name, "search")
chunks = completion("ok", tools=tools, stream=True)
calls = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or []]
check("openai, tools of a stream", "".join(call.function.arguments or "" for call in calls), "{}")
fails("openai, 401", openai.AuthenticationError, lambda: completion("401"))
fails("openai, 429", openai.RateLimitError, lambda: completion("429"))
fails("openai, 503", openai.InternalServerError, lambda: completion("503"))

messages = anthropic.Anthropic(base_url=URL.removesuffix("/v1"), api_key="sk-x", max_retries=0, timeout=3)


def message(model, **more):
    return messages.messages.create(model=model, max_tokens=64, messages=QUESTION, **more)


reply = message("ok")
check("anthropic, whole", (reply.content[0].text, reply.usage.output_tokens), (TEXT, 3))
with messages.messages.stream(model="ok", max_tokens=64, messages=QUESTION) as stream:
    check("anthropic, streamed", "".join(stream.text_stream), TEXT)
    check("anthropic, usage of a stream", stream.get_final_message().usage.output_tokens, 3)
tools = [{"name": "search", "input_schema": {"type": "object", "properties": {}}}]
check("anthropic, tools", message("ok", tools=tools).content[0].name, "search")
with messages.messages.stream(model="ok", max_tokens=64, messages=QUESTION, tools=tools) as stream:
    blocks = stream.get_final_message().content
    check("anthropic, tools of a stream", [b.name for b in blocks if b.type == "tool_use"], ["search"])
fails("anthropic, 401", anthropic.AuthenticationError, lambda: message("401"))
fails("anthropic, 429", anthropic.RateLimitError, lambda: message("429"))
fails("anthropic, 529", anthropic.InternalServerError, lambda: message("529"))
