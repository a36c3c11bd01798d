# The workshop. Needs Python 3.11+ and make; everything else is installed into .venv from uv.lock.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Many tests wait: for a key to be published, for a database to come back. Three fill two cores.
WORKERS ?= 3

.PHONY: help install demo test check crash million bench bench-audit openapi clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.installed ## create .venv from uv.lock

.venv/.installed: uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Accord needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --all-groups --inexact --compile-bytecode --python $(BIN)/python
	@touch $@

demo: install ## run the main job: Accord on :8000, the sandbox on :8001
	@$(BIN)/accord demo $(ARGS)

test: install ## run every test
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

crash: install ## 200 kills of the server and of PostgreSQL under load
	@ROUNDS=200 $(BIN)/pytest -s tests/journeys/test_crash.py tests/journeys/test_database_killed.py $(ARGS)

million: install ## auditors in a real browser on a million entries, everything exported
	@ENTRIES=1000000 $(BIN)/pytest -s tests/journeys/test_auditors_in_a_browser.py $(ARGS)

check: install ## lint, types, arrows between packages, image, contract drift
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/accord openapi --check

openapi: install ## write openapi/accord.yaml again
	@$(BIN)/accord openapi --write

bench: install ## CPU per exchange, against peers, in one run
	@$(BIN)/python -m bench $(ARGS)

bench-audit: install ## appends a second, queries, proofs, verification of the log; ARGS="--sizes 10000,1000000"
	@$(BIN)/python -m bench.audit $(ARGS)

clean: ## remove what install made
	rm -rf .venv
