# Two commands matter on a fresh machine with Python 3.11 and make: `make run` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export BETON_DATA_DIR ?= .beton

.PHONY: help run demo test check lint types arch unit e2e bench screenshots clean

help: ## list the commands
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/run.stamp: requirements.txt pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

run: demo ## install, build the demo workspace once, serve on 127.0.0.1:8050
	$(BIN)/beton serve

demo: $(VENV)/run.stamp
	$(BIN)/beton info >/dev/null 2>&1 || $(BIN)/beton demo

test: check e2e ## everything: checks, unit tests, Chromium

check: lint types arch unit ## ruff, mypy, import rules, tests without a browser

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

arch: $(VENV)/dev.stamp
	$(BIN)/lint-imports

unit: $(VENV)/dev.stamp
	$(BIN)/pytest -q --ignore=tests/e2e

e2e: $(VENV)/dev.stamp ## flows in Chromium; CHROMIUM_PATH says where it is
	$(BIN)/pytest -q tests/e2e

bench: $(VENV)/dev.stamp ## budgets as ratios to named peers; minutes
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks discovery
	$(BIN)/python -m benchmarks queries

screenshots: $(VENV)/dev.stamp ## the pictures of README and docs
	$(BIN)/python docs/screenshots.py

clean: ## remove the virtual environment and caches, not the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
