# Every target makes the environment first; on a fresh machine nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
PLACE ?= general

.DEFAULT_GOAL := help
.PHONY: help setup run test check faults isolation bench screenshots lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	$(call install,$(VENV),requirements.lock)

$(BENCH_READY): requirements-bench.lock pyproject.toml
	$(call install,$(BENCH_VENV),requirements-bench.lock)

# $(1) the environment, $(2) its lock file
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Cortex needs Python 3.11 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(1)/bin/cortex || echo "Making $(1) with the locked dependencies; this takes a minute or two." >&2
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --seed --python $(PYTHON) $(1) && \
		uv pip install --quiet --compile-bytecode --python $(1)/bin/python --require-hashes -r $(2) && \
		uv pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation -e .; \
	else \
		$(PYTHON) -m venv $(1) && \
		$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2) && \
		$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@
endef

run: setup  ## talk to Clara in the browser; PLACE=general|staff|dm, PORT=…
	@$(BIN)/python playground.py --place $(PLACE)

test: setup  ## the tests, two files at a time, with branch coverage
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --cov --cov-report=term

check: setup  ## format, lint, types, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

faults: setup  ## the long fault suites
	@$(BIN)/python -m pytest -m slow -s tests/faults

isolation: setup  ## who sees what: 500 histories of 50 steps, canaries, revocations; a quarter of an hour and more
	@$(BIN)/python -m pytest -m slow -s tests/isolation

bench: $(BENCH_READY)  ## measure, beside mem0; ARGS="recall latency ingest scale rejection learning --quick --locomo FILE --json FILE"
	@$(BENCH_VENV)/bin/python -m benchmarks --charts charts $(ARGS)

screenshots: setup  ## take the pictures of the docs anew, ARGS="--only NAME" one; needs chromium and the extra `screenshots`
	@$(BIN)/python -m scripts.screenshots $(ARGS)

lock: setup  ## resolve the dependencies anew; needs uv
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--extra playground --extra charts --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--extra dev --extra bench pyproject.toml -o requirements-bench.lock

clean:  ## remove the environment and caches; the memory in .cortex stays
	rm -rf $(VENV) $(BENCH_VENV) charts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build
