# Takk: `make demo` shows it, `make test` tries it, `make help` tells the rest.
# Everything lives in .venv and .takk; `make clean` takes both away.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp for each lock file: a changed lock installs anew, an unchanged one costs nothing.
STAMP := $(VENV)/.installed

FOR ?=
RATE ?= 5
DAY ?= 1s
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench crash docs lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## The virtual environment, from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Takk needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Takk needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "The virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## The whole thing on this machine: FOR=60 stops after 60 s, RATE=5 orders/s, DAY=1s a day's length
	DAY=$(DAY) $(BIN)/takk demo --rate $(RATE) $(if $(FOR),--for $(FOR))

test: $(STAMP) ## All tests; ARGS="-k word" for some of them
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## Formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

bench: $(STAMP) ## The numbers: a table, and .takk/bench/results.json
	$(BIN)/python -m tests.bench $(ARGS)

crash: $(STAMP) ## The crash campaign: kill everything, compare with a recomputation; ARGS="zombies --seed 7" for some of it
	$(BIN)/python -m pytest -m campaign
	$(BIN)/python -m tests.crash $(ARGS)

docs: $(STAMP) ## The reference pages in deploy/, from the code
	$(BIN)/python -m tests.unit.docs.reference

lock: ## Write requirements.lock anew from pyproject.toml
	@test -x $(BIN)/pip-compile || { echo "run make venv first"; exit 1; }
	$(BIN)/pip-compile --quiet --allow-unsafe --extra=dev --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --output-file=requirements.lock --strip-extras pyproject.toml

clean: ## Take away the environment, the state and all caches
	rm -rf $(VENV) .takk .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
