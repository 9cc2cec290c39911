"""OpenAI's client, unmodified: a collection is a chat model."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("WELLSPRING_URL", "http://127.0.0.1:8080") + "/v1", api_key=os.environ.get("WELLSPRING_KEY", "none"))
reply = client.chat.completions.create(
    model="default", messages=[{"role": "user", "content": "What may a hotel night outside a capital cost?"}]
)
print(reply.choices[0].message.content)
for citation in reply.wellspring["citations"]:
    print(citation["source"], citation["start"], citation["end"], citation["quote"])
