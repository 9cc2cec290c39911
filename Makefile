# What a newcomer types. What `setup` fetches goes to the cache folder ($WELLSPRING_CACHE, else ~/.cache/wellspring), crates to
# Cargo's own; what is made stands in target/ ($CARGO_TARGET_DIR) and data/, the page's test tools in api/tests/page/node_modules.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
DATA ?= data/demo
TARGET := $(or $(CARGO_TARGET_DIR),target)
WELLSPRING := $(TARGET)/release/wellspring
QUESTION ?= What may a hotel night outside a capital cost?

# Real documents and judged collections for the tests that use them; those say "skipped" where the folder is absent.
WELLSPRING_TEST_SHARED ?= $(abspath ../shared)
export WELLSPRING_TEST_SHARED

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: setup
setup: ## Fetch ONNX Runtime, PDFium and the default embedding model (once)
	@$(PYTHON) setup/setup.py

# `edge` adds graphs for collections too large to scan, and doubles the time to build.
FEATURES ?=
.PHONY: build
build: ## Build the release binary; FEATURES=edge adds approximate search for millions of chunks
	$(CARGO) build --release --locked --package wellspring-api --features "$(FEATURES)"

.PHONY: dist
dist: ## Build target/dist/wellspring with every feature, optimised throughout: slow to build, to be published
	$(CARGO) build --profile dist --locked --package wellspring-api --all-features

.PHONY: package
package: setup dist ## Pack target/dist/wellspring with model and libraries: an archive, a Debian package, checksums
	@packaging/package.sh $(TARGET)/dist/wellspring $(TARGET)/package

.PHONY: demo
demo: setup build ## Set everything up, read fixtures/corpus, answer a question with citations
	@$(WELLSPRING) --data $(DATA) ingest fixtures/corpus
	@echo
	@echo "wellspring ask \"$(QUESTION)\""
	@echo
	@$(WELLSPRING) --data $(DATA) ask "$(QUESTION)"
	@echo
	@echo "Ask your own:   $(WELLSPRING) --data $(DATA) ask \"…\""
	@echo "On a web page:  make serve"

.PHONY: serve
serve: setup build ## The same set-up, then the server with its web page on 127.0.0.1:8080
	@$(WELLSPRING) --data $(DATA) ingest fixtures/corpus
	@$(WELLSPRING) --data $(DATA) serve

.PHONY: setup-tests
setup-tests: ## The same, and PostgreSQL 16 and 18 with pgvector, which only tests use (once)
	@$(PYTHON) setup/setup.py --tests

.PHONY: test
test: setup-tests ## Run all tests
	$(CARGO) test --workspace --locked

.PHONY: page-test
page-test: setup ## Drive the web page in an installed Chromium over real documents (needs node and npm)
	$(CARGO) build --locked --workspace
	cd api/tests/page && npm ci --no-audit --no-fund && \
	  WELLSPRING_BINARY=$(abspath $(TARGET))/debug/wellspring npm test

.PHONY: lint
lint: ## Check format and lints, as CI does
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

ROUNDS ?= 200
.PHONY: crash
crash: setup ## Kill the server ROUNDS times while documents are written, and check every promise after each
	WELLSPRING_CRASH_ROUNDS=$(ROUNDS) $(CARGO) test --locked --package wellspring-api --test suite crash -- --nocapture

FLEET_DOCUMENTS ?= 10000
.PHONY: fleet
fleet: setup-tests ## Kill workers and restart PostgreSQL while two servers take in FLEET_DOCUMENTS documents; throughput of 1, 2 and 3 workers
	WELLSPRING_FLEET_DOCUMENTS=$(FLEET_DOCUMENTS) WELLSPRING_FLEET_RESTARTS=5 WELLSPRING_FLEET_KILLS=40 WELLSPRING_FLEET_THROUGHPUT=1000 \
	  $(CARGO) test --locked --package wellspring-api --test suite -- fleet --nocapture --test-threads 1

DATASETS ?= $(WELLSPRING_TEST_SHARED)/datasets
.PHONY: eval
eval: setup build ## Measure retrieval on SciFact, Cranfield and CACM, in both chunkings and both precisions
	@for set in scifact cranfield cacm; do for chunking in whole default; do for precision in fp32 int8; do \
	  $(WELLSPRING) eval retrieval --dataset $(DATASETS)/$$set --mode all --chunking $$chunking \
	    --model all-MiniLM-L6-v2/$$precision; done; done; done

RESULT_SETS ?= datasets/ostermere $(addprefix $(DATASETS)/,scifact cranfield cacm squad2 hotpotqa-100 xquad-en xquad-de xquad-zh xquad-ar)
.PHONY: results
results: setup build ## Measure every mode on every set: datasets/RESULTS.md, and the page target/results.html
	$(WELLSPRING) eval report $(RESULT_SETS) --html $(TARGET)/results.html --markdown datasets/RESULTS.md

PLANTED ?= $(TARGET)/planted-identifiers
REQUESTS ?= 100000
TENANTS ?= 50
.PHONY: isolation
isolation: setup ## Attack every operation with REQUESTS hostile requests of TENANTS tenants, and change an access list 10 000 times
	WELLSPRING_ISOLATION_REQUESTS=$(REQUESTS) WELLSPRING_ISOLATION_TENANTS=$(TENANTS) WELLSPRING_ACL_ROUNDS=10000 \
	  $(CARGO) test --locked --package wellspring-api --test suite -- walls::isolation walls::access --nocapture

.PHONY: identifiers
identifiers: setup build ## Plant 5 000 identifiers in 20 000 passages and count those found among the first three hits
	$(CARGO) run --locked --package wellspring-eval --example plant_identifiers -- $(PLANTED) 5000 \
	  $(addprefix $(DATASETS)/,scifact cranfield cacm squad2 hotpotqa-100 xquad-en)
	$(WELLSPRING) eval retrieval --dataset $(PLANTED) --mode all --measures hit@1,hit@3 --latency-queries 0

FINANCEBENCH ?= $(WELLSPRING_TEST_SHARED)/documents/financebench
CHUNKINGS ?= --set '' --set 'file_name = "never"; captions = false'
.PHONY: finance
finance: setup build ## Find the evidence pages of questions about 29 company filings; CHUNKINGS names the settings to compare
	@$(PYTHON) datasets/finance.py $(FINANCEBENCH) --binary $(WELLSPRING) --work $(TARGET)/finance $(CHUNKINGS)

# Few enough queries that each set takes minutes, many enough for an order.
SYNTH_SETS ?= cranfield cacm scifact xquad-en squad2 hotpotqa-100
.PHONY: synth-tau
synth-tau: setup build ## Compare the order of 17 configurations under synthetic questions with that under judgements
	@for set in $(SYNTH_SETS); do echo "$$set"; $(WELLSPRING) eval synth --documents $(DATASETS)/$$set --against $(DATASETS)/$$set \
	  --sample 400 --queries 300 --latency-queries 0 --out $(TARGET)/synthetic-$$set.jsonl; done

GATE_DEMO := $(TARGET)/gate-demo
.PHONY: gate-demo
gate-demo: setup build ## Show that the gate catches wrong pooling on Cranfield with 20 seeds, and blames no unchanged system
	@eval/tests/golden/wrong-pooling.sh $(WELLSPRING) $(DATASETS)/cranfield $(GATE_DEMO)
	@for side in broken good; do for mode in dense hybrid; do failed=0; for seed in $$(seq 1 20); do \
	  $(WELLSPRING) eval gate --baseline $(GATE_DEMO)/good.$$mode.trec --candidate $(GATE_DEMO)/$$side.$$mode.trec \
	    --qrels $(DATASETS)/cranfield/qrels/test.tsv --seed $$seed > $(GATE_DEMO)/gate.txt || failed=$$((failed + 1)); done; \
	  echo "$$side, $$mode: the gate failed $$failed of 20"; done; done

.PHONY: measure-answers
measure-answers: setup build ## Measure claim support (WiCE), planted instructions (BIPIA), a thousand answers, and quoted answers and refusals (SQuAD 2.0, RGB)
	$(CARGO) build --locked --package wellspring-answer --example measure
	@for what in support injection thousand; do $(TARGET)/debug/examples/measure $$what $(DATASETS); done
	$(WELLSPRING) eval answers --dataset $(DATASETS)/squad2
	$(WELLSPRING) eval answers --dataset $(DATASETS)/rgb-fact

.PHONY: refusals
refusals: setup build ## Measure which questions are refused with default settings: of our own set, and of sets that our documents can't answer
	PYTHONDONTWRITEBYTECODE=1 $(PYTHON) api/tests/refusals/measure.py $(WELLSPRING) $(DATASETS)

VECTORS ?= 100000
.PHONY: vectors
vectors: ## Measure recall, times and sizes of every vector engine; DATABASE_URL and QDRANT_URL name the servers
	$(CARGO) run --release --locked --package wellspring-store --example vectors -- $(VECTORS)

.PHONY: provider
provider: ## Start the local provider that fails on request; models/tests/clients/check.py tries the official clients on it
	$(CARGO) run --locked --package wellspring-models --example provider -- 127.0.0.1:9977

CLIENTS := $(TARGET)/clients
$(CLIENTS)/bin/schemathesis: api/tests/clients/requirements.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.PHONY: clients
clients: setup $(CLIENTS)/bin/schemathesis ## Try the official clients of OpenAI, Cohere, MCP, LangChain, LlamaIndex and gRPC on the server, unmodified
	$(CARGO) build --locked --package wellspring-api
	PYTHONDONTWRITEBYTECODE=1 $(CLIENTS)/bin/python api/tests/clients/check.py $(TARGET)/debug/wellspring
	PYTHONDONTWRITEBYTECODE=1 $(CLIENTS)/bin/python api/tests/clients/check_grpc.py $(TARGET)/debug/wellspring

EXAMPLES ?= 50
.PHONY: schemathesis
schemathesis: setup $(CLIENTS)/bin/schemathesis ## Send EXAMPLES made-up requests to each operation: no 500, and every response as openapi.json says
	$(CARGO) build --locked --package wellspring-api
	PYTHONDONTWRITEBYTECODE=1 $(CLIENTS)/bin/python api/tests/clients/conform.py $(TARGET)/debug/wellspring $(EXAMPLES)

GATEWAY := $(TARGET)/gateway
$(GATEWAY)/bin/litellm: api/tests/gateway/requirements.txt
	$(PYTHON) -m venv $(GATEWAY)
	$(GATEWAY)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

GATEWAY_REQUESTS ?= 300
.PHONY: gateway
gateway: setup build $(GATEWAY)/bin/litellm ## Measure what the server adds to a local provider's latency, beside LiteLLM's proxy
	PYTHONDONTWRITEBYTECODE=1 $(GATEWAY)/bin/python api/tests/gateway/measure.py $(WELLSPRING) $(GATEWAY_REQUESTS)

.PHONY: bench
bench: setup build ## Ingest throughput beside the bare encoder, query latency beside its bare parts, memory, start-up
	$(CARGO) build --release --locked --package wellspring-api --features "$(FEATURES)" --example bench
	$(TARGET)/release/examples/bench --binary $(WELLSPRING) --datasets $(DATASETS)

.PHONY: overload
overload: setup build ## Ask for many times the searches that can be made: what is answered, how fast, and what is refused
	$(CARGO) build --release --locked --package wellspring-api --features "$(FEATURES)" --example overload
	$(TARGET)/release/examples/overload --binary $(WELLSPRING)

.PHONY: clean
clean: ## Remove target/ and data/; a CARGO_TARGET_DIR elsewhere and what setup fetched stay
	rm -rf target data
