#!/usr/bin/env bash
# Adds a document, waits until it is searchable, and asks about it.
set -euo pipefail
url=${WELLSPRING_URL:-http://127.0.0.1:8080}
key=(${WELLSPRING_KEY:+-H "Authorization: Bearer $WELLSPRING_KEY"})
json=(-H 'content-type: application/json')

accepted=$(curl --fail-with-body -sS "${key[@]}" "${json[@]}" "$url/v1/collections/default/documents" \
  -d '{"id": "note-tern", "text": "The Tern gauge is read at noon and at midnight."}')
job=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["job"])' <<< "$accepted")
# The stream ends when the job does.
curl --fail-with-body -sS "${key[@]}" "$url/v1/jobs/$job/events" > /dev/null
curl --fail-with-body -sS "${key[@]}" "${json[@]}" "$url/v1/answers" -d '{"question": "When is the Tern gauge read?"}' |
  python3 -c 'import json, sys; answer = json.load(sys.stdin); print(answer["answer"]); [print("[%d] %s: %s" % (c["n"], c["source"], c["quote"])) for c in answer["citations"]]'
