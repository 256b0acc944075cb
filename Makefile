# Everything starts from here; each target does the set-up that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
PEERS := .venv-peers
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-nojit test-setup lint soak bench docs package clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with all packages, the web page and the skypact command

$(STAMP): requirements.lock pyproject.toml hatch_build.py $(WEB_SOURCES)
	@echo "setting up $(VENV): packages and the web page (some minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

demo: setup ## Open a centre fed by simulated radars over UDP, with its live page
	$(BIN)/skypact demo

test-setup: setup
	@sh tools/install_test_programs.sh

test: test-setup ## Run the tests
	$(BIN)/python -m pytest -m "not soak"

test-nojit: setup ## Run the kernels' tests as plain Python
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -m "kernels and not soak"

soak: test-setup ## Run the long versions of the tests
	$(BIN)/python -m pytest -m soak

lint: setup ## Check style, types and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm --prefix web run --silent check

bench: setup $(PEERS)/.stamp ## Measure against the peers
	$(BIN)/skypact bench

$(PEERS)/.stamp:
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check asterix-decoder==0.7.11 aviconv-asterix==0.4.0
	touch $@

docs: setup ## Check that the documentation's links lead somewhere and its examples run
	$(BIN)/python -m pytest -m "not soak" tests/docs

package: setup ## Build wheel and sdist, with the web page inside
	rm -rf dist src/skypact/static
	$(BIN)/python -m build --no-isolation

clean: ## Remove what was made, but not what was downloaded
	rm -rf dist out src/skypact/static .pytest_cache .mypy_cache .ruff_cache .hypothesis
