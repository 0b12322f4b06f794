# Every target makes the environment first; on a fresh machine nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PLACE ?= general

.DEFAULT_GOAL := help
.PHONY: help setup run test check faults bench screenshots lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Cortex needs Python 3.11 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/cortex || echo "Making $(VENV) with the locked dependencies; this takes a minute or two." >&2
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

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

bench: setup  ## measure; ARGS="--json FILE", --quick, --locomo FILE
	@$(BIN)/python -m benchmarks $(ARGS)

screenshots: setup  ## take the README's picture anew; needs chromium and the extra `screenshots`
	@$(BIN)/python scripts/screenshot.py --output docs/images/playground.png

lock: setup  ## resolve the dependencies anew; needs uv
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--extra playground --extra dev pyproject.toml -o requirements.lock

clean:  ## remove the environment and caches; the memory in .cortex stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build
