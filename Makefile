# Every target sets up what it needs: on a fresh clone only Python 3.11 or later must be there.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9

.PHONY: help demo up down gen lock lint test test-unit k8s bench faults

help: ## Show the targets.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

# The lock names no index, so the packages come from whichever one this machine is configured for.
.venv/.locked: uv.lock pyproject.toml Makefile
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@$(BIN)/uv export --quiet --frozen --no-emit-project --no-annotate --no-header -o .venv/requirements.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r .venv/requirements.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: .venv/.locked ## Start everything, take a card payment, show each step, stop everything.
	@$(BIN)/paymesh demo

up: .venv/.locked ## Start the sandbox and leave it running.
	@$(BIN)/paymesh up

down: .venv/.locked ## Stop the sandbox.
	@$(BIN)/paymesh down

gen: .venv/.locked ## Generate stubs, the descriptor set and the OpenAPI document.
	@$(BIN)/python -m proto.generate

lock: .venv/.locked ## Resolve the dependencies again and write uv.lock.
	@$(BIN)/uv lock
	@sed -E -i -e 's#https://[^/"]+/simple#https://index.invalid/simple#' \
		-e 's#url = "https://[^"]*/([^/"]+)"#url = "https://index.invalid/\1"#' \
		-e 's#, upload-time = "[^"]*"##' uv.lock

lint: .venv/.locked ## Check style, types, the direction of imports and the contracts.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code --path proto/paymesh
	@if git rev-parse -q --verify HEAD~1 >/dev/null; then $(BIN)/buf breaking --against '.git#ref=HEAD~1'; fi

test: .venv/.locked ## Run every test, on the real parts.
	@$(BIN)/pytest

test-unit: .venv/.locked ## Run the tests that need no other process.
	@$(BIN)/pytest tests/unit

k8s: .venv/.locked ## Render every overlay and validate it; RELEASE=name demands the digests of one.
	@$(BIN)/python -m k8s.render $(if $(RELEASE),--release $(RELEASE))

bench: .venv/.locked ## Measure the running whole; writes nothing, prints every figure.
	@$(BIN)/python -m tests.load

SEED ?= 1
PAYMENTS ?= 500
faults: .venv/.locked ## Pay while everything fails, heal, check every promise: SEED=n PAYMENTS=n.
	@$(BIN)/python -m tests.faults --seed $(SEED) --payments $(PAYMENTS)
